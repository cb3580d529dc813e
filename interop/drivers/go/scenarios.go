package main

import (
	"time"

	"github.com/go-zookeeper/zk"
)

var scenarios = []struct {
	name string
	run  func(*run)
}{
	{"create-kinds", createKinds},
	{"errors", failures},
	{"sequential", sequential},
	{"stat-rules", statRules},
	{"acls", acls},
	{"multi", multi},
	{"system-nodes", systemNodes},
	{"watches", watches},
	{"reconnect", reconnect},
	{"sessions", sessions},
	{"words", words},
}

var open = zk.WorldACL(zk.PermAll)

func createKinds(r *run) {
	c := r.start()
	for flags := int32(0); flags < 8; flags++ {
		c.create(r.at("/plain"+string(rune('0'+flags))+"-"), "x", flags)
		for _, ttl := range []time.Duration{-1 * time.Millisecond, 0, time.Hour} {
			if flags < 5 && ttl < 0 {
				// It passes the reference's checks and then stops it while it applies the transaction.
				continue
			}
			path, err := c.conn.CreateTTL(r.at("/ttl"+string(rune('0'+flags))+"-"), []byte("x"), flags, open, ttl)
			c.say("createTTL flags=%d ttl=%v -> %s %s", flags, ttl, outcome(err), path)
		}
	}
	for _, flags := range []int32{0, 4} {
		path, err := c.conn.CreateContainer(r.at("/container"), []byte("x"), flags, open)
		c.say("createContainer flags=%d -> %s %s", flags, outcome(err), path)
	}
	path, err := c.conn.CreateProtectedEphemeralSequential(r.at("/guarded-"), nil, open)
	c.say("protected -> %s %s", outcome(err), plain(path))
	c.children(r.root, false)
	c.exists(r.at("/plain1-"), false)
}

func failures(r *run) {
	c := r.start()
	c.create(r.root, "", 0)
	c.create(r.at("/none/x"), "", 0)
	c.create(r.at("/e"), "", zk.FlagEphemeral)
	c.create(r.at("/e/x"), "", 0)
	c.create("/", "", 0)
	c.create("/zookeeper/config/x", "", 0)
	c.createACL(r.at("/x"), "", 0, []zk.ACL{})
	c.set(r.root, "1", 0)
	c.set(r.root, "2", 0)
	c.set(r.at("/none"), "2", -1)
	c.delete(r.root, -1)
	c.delete(r.at("/none"), -1)
	c.delete(r.at("/e"), 5)
	c.delete(r.at("/e"), 0)
	c.delete("/zookeeper", -1)
	c.get(r.at("/none"), false)
	c.exists(r.at("/none"), false)
	c.children(r.at("/none"), false)
	c.getACL(r.at("/none"))
	c.setACL(r.at("/none"), open, -1)
	path, err := c.conn.Sync(r.at("/none"))
	c.say("sync -> %s %s", outcome(err), path)
}

func sequential(r *run) {
	c := r.start()
	for turn := 0; turn < 3; turn++ {
		c.create(r.at("/s-"), "", zk.FlagSequence)
		c.create(r.at("/e-"), "", zk.FlagSequence|zk.FlagEphemeral)
	}
	c.delete(r.at("/s-0000000000"), -1)
	c.create(r.at("/s-"), "", zk.FlagSequence)
	c.children(r.root, false)
}

func statRules(r *run) {
	c := r.start()
	c.create(r.at("/a"), "1", 0)
	c.create(r.at("/a/b"), "22", 0)
	c.exists(r.at("/a"), false)
	c.set(r.at("/a"), "333", -1)
	c.setACL(r.at("/a"), open, 0)
	c.setACL(r.at("/a"), open, 0)
	c.getACL(r.at("/a"))
	c.delete(r.at("/a/b"), -1)
	c.exists(r.at("/a"), false)
	c.delete(r.at("/a"), -1)
	c.exists(r.root, false)
}

func acls(r *run) {
	c := r.start()
	bob := r.open("bob", 30*time.Second)
	bob.auth("digest", "bob:pw")
	lists := map[string][]zk.ACL{
		"/a-digest": zk.DigestACL(zk.PermAll, "bob", "pw"),
		"/b-auth":   zk.AuthACL(zk.PermAll),
		"/c-read":   zk.WorldACL(zk.PermRead),
		"/d-write":  zk.WorldACL(zk.PermWrite),
		"/e-ip":     {{Perms: 31, Scheme: "ip", ID: "127.0.0.0/8"}},
		"/f-far":    {{Perms: 31, Scheme: "ip", ID: "10.0.0.0/8"}},
		"/g-odd":    {{Perms: 31, Scheme: "nosuch", ID: "x"}},
	}
	for _, name := range []string{"/a-digest", "/b-auth", "/c-read", "/d-write", "/e-ip", "/f-far", "/g-odd"} {
		bob.createACL(r.at(name), "x", 0, lists[name])
		for _, client := range []*client{c, bob} {
			client.get(r.at(name), false)
			client.exists(r.at(name), false)
			client.getACL(r.at(name))
			client.set(r.at(name), "y", -1)
			client.create(r.at(name)+"/k", "", zk.FlagEphemeral)
			client.setACL(r.at(name), open, 9)
		}
	}
	c.createACL(r.at("/x"), "x", 0, zk.AuthACL(zk.PermAll))
	boss := r.open("boss", 30*time.Second)
	boss.auth("digest", "super:driver")
	boss.get(r.at("/f-far"), false)
	bad := r.open("bad", 30*time.Second)
	bad.auth("nosuch", "x")
}

func multi(r *run) {
	c := r.start()
	create := func(rest string, flags int32) *zk.CreateRequest {
		return &zk.CreateRequest{Path: r.at(rest), Data: []byte("x"), Acl: open, Flags: flags}
	}
	c.multi("all kinds", create("/a", 0), &zk.SetDataRequest{Path: r.at("/a"), Data: []byte("yy"), Version: 0},
		&zk.CheckVersionRequest{Path: r.at("/a"), Version: 1}, create("/a/s-", zk.FlagSequence),
		&zk.DeleteRequest{Path: r.at("/a/s-0000000000"), Version: 0})
	c.exists(r.at("/a"), false)
	c.multi("a failure", create("/b", 0), &zk.CheckVersionRequest{Path: r.at("/none"), Version: 1}, create("/c", 0))
	c.multi("another", create("/b", 0), create("/b", 0))
	c.multi("ephemerals", create("/e-", zk.FlagEphemeral|zk.FlagSequence), create("/e", zk.FlagEphemeral))
	c.multi("nothing")
	c.children(r.root, false)
}

func systemNodes(r *run) {
	c := r.open("c", 30*time.Second)
	c.get("/zookeeper/config", false)
	c.getACL("/zookeeper/config")
	c.children("/zookeeper", false)
	stat, err := c.conn.Reconfig([]string{"server.1=127.0.0.1:2888:3888:participant;2181"}, -1)
	c.say("reconfig -> %s %s", outcome(err), c.log.stat(stat))
	stat, err = c.conn.IncrementalReconfig([]string{"server.2=127.0.0.1:2889:3889;2182"}, nil, 3)
	c.say("reconfig -> %s %s", outcome(err), c.log.stat(stat))
	c.exists("/zookeeper", false)
}

// writes is every kind of write at a node, its parent and its child.
func writes(c *client) {
	n := c.at("/n")
	c.create(n, "1", 0)
	c.set(n, "2", -1)
	c.setACL(n, open, -1)
	c.create(n+"/k", "", 0)
	c.set(n+"/k", "2", -1)
	c.delete(n+"/k", -1)
	c.delete(n, -1)
	c.set(c.root, "p", -1)
}

func watches(r *run) {
	c := r.start()
	w := r.open("w", 30*time.Second)
	n := r.at("/n")
	w.exists(n, true)
	w.get(n, true)
	w.children(r.root, true)
	w.get(r.root, true)
	writes(c)
	w.drain()
	c.create(n, "", 0)
	w.exists(n, true)
	w.get(n, true)
	w.children(n, true)
	c.delete(n, -1)
	w.drain()
	c.exists(n, true)
	c.children(r.root, true)
	writes(c)
	c.drain()
}

func reconnect(r *run) {
	c := r.start()
	kept := []string{"/same", "/data", "/child", "/gone"}
	for _, name := range kept {
		c.create(r.at(name), "", 0)
	}
	w := r.open("w", 30*time.Second)
	w.auth("digest", "bob:pw")
	w.createACL(r.at("/secret"), "x", 0, zk.AuthACL(zk.PermAll))
	w.create(r.at("/ephemeral"), "", zk.FlagEphemeral)
	for _, name := range kept {
		w.get(r.at(name), true)
		w.children(r.at(name), true)
	}
	w.exists(r.at("/later"), true)
	w.exists(r.at("/never"), true)
	session := w.conn.SessionID()
	w.dialer.cut()
	w.awaitState(zk.StateDisconnected)
	c.set(r.at("/data"), "x", -1)
	c.create(r.at("/child/k"), "", 0)
	c.delete(r.at("/gone"), -1)
	c.create(r.at("/later"), "", 0)
	w.dialer.restore()
	w.awaitState(zk.StateHasSession)
	w.drain()
	w.say("same session %t", w.conn.SessionID() == session)
	w.get(r.at("/secret"), false)
	w.exists(r.at("/ephemeral"), false)
	c.set(r.at("/same"), "again", -1)
	c.create(r.at("/same/k"), "", 0)
	c.create(r.at("/never"), "", 0)
	c.set(r.at("/data"), "again", -1)
	w.drain()
}

func sessions(r *run) {
	w := r.start()
	owner := r.open("owner", 30*time.Second)
	owner.create(r.at("/e"), "", zk.FlagEphemeral)
	w.exists(r.at("/e"), true)
	owner.conn.Close()
	w.await()
	short := r.open("short", time.Second)
	short.create(r.at("/s"), "", zk.FlagEphemeral)
	old := short.conn.SessionID()
	w.exists(r.at("/s"), true)
	short.dialer.cut()
	w.await()
	short.dialer.restore()
	// The library opens a new session by itself.
	short.awaitState(zk.StateExpired)
	short.awaitState(zk.StateHasSession)
	short.say("another session %t", short.conn.SessionID() != old)
	w.exists(r.root, false)
}

// words is what the library itself makes of the four-letter words.
func words(r *run) {
	c := r.start()
	servers := []string{r.server}
	c.say("ruok %v", zk.FLWRuok(servers, answerTime))
	stats, fine := zk.FLWSrvr(servers, answerTime)
	c.say("srvr %t %v", fine, stats[0].Error)
	clients, fine := zk.FLWCons(servers, answerTime)
	c.say("cons %t", fine)
	for _, group := range clients {
		c.say("cons error %v", group.Error)
		for _, one := range group.Clients {
			if one.SessionID == c.conn.SessionID() {
				c.say("cons %s timeout=%d last=%s", c.log.session(one.SessionID), one.Timeout, one.LastOperation)
			}
		}
	}
}
