//! Sessions, watches and request order: joins the tree to the outside, event in, effects out.
