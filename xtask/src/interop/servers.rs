//! Every server that suites use comes up, says that it serves, ends when asked, and comes up again on what it left.

use anyhow::{Result, ensure};

use crate::context::{Context, Tally};
use crate::java::JavaVersion;
use crate::process;
use crate::server::{Product, Server, ServerConfig};

/// What a suite can start.
const PRODUCTS: [Product; 3] = [
    Product::Zebu,
    Product::Java(JavaVersion::Debian38),
    Product::Java(JavaVersion::Maven39),
];

/// The step: one check per product.
///
/// # Errors
/// When no temporary folder can be made.
pub fn run(context: &Context) -> Result<Tally> {
    let mut tally = Tally::default();
    for product in PRODUCTS {
        match lives(context, product) {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                context.announce(&format!("{}: {error:#}", product.name()));
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

/// Starts the server three times on the same data: anew, after SIGTERM, after SIGKILL.
fn lives(context: &Context, product: Product) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let config = ServerConfig::new()?;
    let start = || Server::start(context.workspace(), product, dir.path(), &config);
    let server = start()?;
    let answer = process::four_letter_word(server.address(), "srvr")?;
    ensure!(answer.contains("Mode: standalone"), "srvr says {answer}");
    context.say(&format!(
        "{}: {}",
        product.name(),
        answer.lines().next().unwrap_or_default()
    ));
    server.stop()?;
    start()?.kill()?;
    start()?.stop()?;
    Ok(())
}
