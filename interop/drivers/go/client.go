package main

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// Every wait ends: what has not come by then is reported as missing.
const answerTime = 20 * time.Second

// run is what a scenario gets: the log, and clients that are closed behind it.
type run struct {
	server  string
	root    string
	log     *log
	clients []*client
}

// client is a connection with a name in the log.
type client struct {
	*run
	label   string
	conn    *zk.Conn
	events  <-chan zk.Event
	dialer  *dialer
	watches []watch
}

type watch struct {
	what string
	ch   <-chan zk.Event
}

// dialer makes the client's connections and can cut the current one and refuse new ones.
type dialer struct {
	lock sync.Mutex
	open bool
	conn net.Conn
}

func (d *dialer) dial(network, address string, timeout time.Duration) (net.Conn, error) {
	d.lock.Lock()
	defer d.lock.Unlock()
	if !d.open {
		return nil, fmt.Errorf("cut")
	}
	conn, err := net.DialTimeout(network, address, timeout)
	d.conn = conn
	return conn, err
}

func (d *dialer) cut() {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.open = false
	if d.conn != nil {
		d.conn.Close()
	}
}

func (d *dialer) restore() {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.open = true
}

type silent struct{}

func (silent) Printf(string, ...interface{}) {}

func (r *run) open(label string, timeout time.Duration) *client {
	d := &dialer{open: true}
	conn, events, err := zk.Connect([]string{r.server}, timeout, zk.WithDialer(d.dial), zk.WithLogger(silent{}))
	if err != nil {
		panic(err)
	}
	c := &client{run: r, label: label, conn: conn, events: events, dialer: d}
	r.clients = append(r.clients, c)
	c.awaitState(zk.StateHasSession)
	return c
}

// start opens the first client and makes the scenario's own root node.
func (r *run) start() *client {
	c := r.open("c", 30*time.Second)
	c.create(r.root, "", 0)
	c.exists(r.root, false)
	return c
}

func (r *run) at(rest string) string {
	return r.root + rest
}

func (c *client) say(format string, arguments ...interface{}) {
	fmt.Println(c.label + " " + fmt.Sprintf(format, arguments...))
}

// awaitState waits for a state of the session; the states on the way depend on the moment and are not logged.
func (c *client) awaitState(state zk.State) {
	limit := time.After(answerTime)
	for {
		select {
		case event, open := <-c.events:
			if !open {
				panic("the client has closed")
			}
			if event.Type == zk.EventSession && event.State == state {
				c.say("! session %s", state)
				return
			}
		case <-limit:
			panic(fmt.Sprintf("never in state %s", state))
		}
	}
}

// drain logs the events of one-shot watches that have fired: those ahead of the reply that is awaited here.
func (c *client) drain() {
	if _, err := c.conn.Sync("/"); err != nil {
		c.say("! sync: %v", err)
	}
	var left []watch
	for _, w := range c.watches {
		select {
		case event := <-w.ch:
			c.say("! %s: %s %s %s", w.what, event.Type, event.Path, outcome(event.Err))
		default:
			left = append(left, w)
		}
	}
	c.watches = left
}

// await waits for the oldest watch and logs its event.
func (c *client) await() {
	w := c.watches[0]
	c.watches = c.watches[1:]
	select {
	case event := <-w.ch:
		c.say("! %s: %s %s %s", w.what, event.Type, event.Path, outcome(event.Err))
	case <-time.After(answerTime):
		panic("no event came for " + w.what)
	}
}

func (c *client) watch(what string, ch <-chan zk.Event, err error) {
	if err == nil {
		c.watches = append(c.watches, watch{what, ch})
	}
}

// One method per operation.

func (c *client) create(path, value string, flags int32) {
	c.createACL(path, value, flags, zk.WorldACL(zk.PermAll))
}

func (c *client) createACL(path, value string, flags int32, entries []zk.ACL) {
	real, err := c.conn.Create(path, []byte(value), flags, entries)
	c.say("create %s flags=%d %s -> %s %s", path, flags, acl(entries), outcome(err), real)
}

func (c *client) delete(path string, version int32) {
	c.say("delete %s v=%d -> %s", path, version, outcome(c.conn.Delete(path, version)))
}

func (c *client) set(path, value string, version int32) {
	stat, err := c.conn.Set(path, []byte(value), version)
	if err != nil {
		stat = nil
	}
	c.say("set %s v=%d -> %s %s", path, version, outcome(err), c.log.stat(stat))
}

func (c *client) get(path string, watched bool) {
	var value []byte
	var stat *zk.Stat
	var err error
	if watched {
		var ch <-chan zk.Event
		value, stat, ch, err = c.conn.GetW(path)
		c.watch("get "+path, ch, err)
	} else {
		value, stat, err = c.conn.Get(path)
	}
	if err != nil {
		stat = nil
	}
	c.say("get %s watch=%t -> %s %s %s", path, watched, outcome(err), data(value), c.log.stat(stat))
}

func (c *client) exists(path string, watched bool) {
	var found bool
	var stat *zk.Stat
	var err error
	if watched {
		var ch <-chan zk.Event
		found, stat, ch, err = c.conn.ExistsW(path)
		c.watch("exists "+path, ch, err)
	} else {
		found, stat, err = c.conn.Exists(path)
	}
	if err != nil || !found {
		stat = nil
	}
	c.say("exists %s watch=%t -> %s %t %s", path, watched, outcome(err), found, c.log.stat(stat))
}

func (c *client) children(path string, watched bool) {
	var values []string
	var stat *zk.Stat
	var err error
	if watched {
		var ch <-chan zk.Event
		values, stat, ch, err = c.conn.ChildrenW(path)
		c.watch("children "+path, ch, err)
	} else {
		values, stat, err = c.conn.Children(path)
	}
	if err != nil {
		stat = nil
	}
	c.say("children %s watch=%t -> %s %s %s", path, watched, outcome(err), names(values), c.log.stat(stat))
}

func (c *client) getACL(path string) {
	entries, stat, err := c.conn.GetACL(path)
	if err != nil {
		stat = nil
	}
	c.say("getACL %s -> %s %s %s", path, outcome(err), acl(entries), c.log.stat(stat))
}

func (c *client) setACL(path string, entries []zk.ACL, version int32) {
	stat, err := c.conn.SetACL(path, entries, version)
	if err != nil {
		stat = nil
	}
	c.say("setACL %s %s v=%d -> %s %s", path, acl(entries), version, outcome(err), c.log.stat(stat))
}

func (c *client) auth(scheme, secret string) {
	c.say("auth %s %s -> %s", scheme, secret, outcome(c.conn.AddAuth(scheme, []byte(secret))))
}

func (c *client) multi(shown string, ops ...interface{}) {
	results, err := c.conn.Multi(ops...)
	c.say("multi %s -> %s", shown, outcome(err))
	for number, result := range results {
		c.say("  %d: %s %s %s", number, outcome(result.Error), result.String, c.log.stat(result.Stat))
	}
}
