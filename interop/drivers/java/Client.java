import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/** A ZooKeeper handle whose calls, results and events are logged under a name. */
final class Client implements Watcher {
    /** Every wait ends: what has not come by then is reported as missing. */
    static final int ANSWER_SECONDS = 20;

    interface Call {
        String run() throws KeeperException, InterruptedException;
    }

    /** An event and the watcher that got it. */
    private static final class Seen {
        final String watcher;
        final WatchedEvent event;

        Seen(String watcher, WatchedEvent event) {
            this.watcher = watcher;
            this.event = event;
        }

        String text() {
            return "! " + watcher + event.getType() + " " + event.getState() + " " + event.getPath();
        }
    }

    final String label;
    final Log log;
    final ZooKeeper zk;
    private final LinkedBlockingQueue<Seen> events = new LinkedBlockingQueue<>();

    Client(Log log, String label, String address, int timeoutMs) throws IOException {
        this.log = log;
        this.label = label;
        zk = new ZooKeeper(address, timeoutMs, this);
    }

    Client(Log log, String label, String address, int timeoutMs, long session, byte[] passwd) throws IOException {
        this.log = log;
        this.label = label;
        zk = new ZooKeeper(address, timeoutMs, this, session, passwd);
    }

    @Override
    public void process(WatchedEvent event) {
        events.add(new Seen("", event));
    }

    /** A further watcher of this handle, whose events are logged under its own name, in order with the others. */
    Watcher named(String name) {
        return event -> events.add(new Seen(name + " ", event));
    }

    void say(String text) {
        log.line(label + " " + text);
    }

    /** Runs one call and logs its result or its error. */
    void call(String shown, Call call) throws InterruptedException {
        try {
            say(shown + " -> " + call.run());
        } catch (KeeperException error) {
            String results = error.getResults() == null ? "" : " " + log.results(error.getResults());
            say(shown + " -> " + error.code() + "(" + error.code().intValue() + ") path=" + error.getPath() + results);
        } catch (IllegalArgumentException error) {
            say(shown + " -> refused by the client");
        }
    }

    /** Waits for the next event and logs it. */
    WatchedEvent awaitEvent() throws InterruptedException {
        Seen seen = events.poll(ANSWER_SECONDS, TimeUnit.SECONDS);
        say(seen == null ? "! no event came" : seen.text());
        return seen == null ? null : seen.event;
    }

    /** Waits until the connection is in this state; logs all events up to it. */
    void awaitState(Event.KeeperState state) throws InterruptedException {
        WatchedEvent event;
        do {
            event = awaitEvent();
        } while (event != null && (event.getType() != Event.EventType.None || event.getState() != state));
    }

    /** Logs all events of changes that the server had made when this is called. */
    void events() throws InterruptedException {
        barrier();
        Seen seen;
        while ((seen = events.poll()) != null) {
            say(seen.text());
        }
    }

    /** As {@link #events} where the server leaves the order open: logged sorted. */
    void eventsSorted() throws InterruptedException {
        barrier();
        List<String> shown = new ArrayList<>();
        Seen seen;
        while ((seen = events.poll()) != null) {
            shown.add(seen.text());
        }
        shown.stream().sorted().forEach(this::say);
    }

    /** A reply overtakes no event on its way, and callbacks run in order behind them. */
    private void barrier() throws InterruptedException {
        CountDownLatch done = new CountDownLatch(1);
        zk.sync("/", (rc, path, ctx) -> done.countDown(), null);
        if (!done.await(ANSWER_SECONDS, TimeUnit.SECONDS)) {
            say("! sync was not answered");
        }
    }

    // One method per operation.

    void create(String path, String data, List<ACL> acl, CreateMode mode) throws InterruptedException {
        call("create " + path + " " + mode + (acl == ZooDefs.Ids.OPEN_ACL_UNSAFE ? "" : " " + Log.acl(acl)),
            () -> zk.create(path, bytes(data), acl, mode));
    }

    void create(String path, String data) throws InterruptedException {
        create(path, data, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    void create(String path, String data, CreateMode mode) throws InterruptedException {
        create(path, data, ZooDefs.Ids.OPEN_ACL_UNSAFE, mode);
    }

    void createWithStat(String path, String data, CreateMode mode, long ttl) throws InterruptedException {
        call("create2 " + path + " " + mode + " ttl=" + ttl, () -> {
            Stat stat = new Stat();
            String real = zk.create(path, bytes(data), ZooDefs.Ids.OPEN_ACL_UNSAFE, mode, stat, ttl);
            return real + " " + log.stat(stat);
        });
    }

    void delete(String path, int version) throws InterruptedException {
        call("delete " + path + " v=" + version, () -> {
            zk.delete(path, version);
            return "done";
        });
    }

    void delete(String path) throws InterruptedException {
        delete(path, -1);
    }

    void set(String path, String data, int version) throws InterruptedException {
        call("setData " + path + " v=" + version, () -> log.stat(zk.setData(path, bytes(data), version)));
    }

    void set(String path, String data) throws InterruptedException {
        set(path, data, -1);
    }

    void get(String path, boolean watch) throws InterruptedException {
        call("getData " + path + (watch ? " watch" : ""), () -> {
            Stat stat = new Stat();
            byte[] data = zk.getData(path, watch, stat);
            return Log.text(data) + " " + log.stat(stat);
        });
    }

    void get(String path) throws InterruptedException {
        get(path, false);
    }

    void exists(String path, boolean watch) throws InterruptedException {
        call("exists " + path + (watch ? " watch" : ""), () -> log.stat(zk.exists(path, watch)));
    }

    void exists(String path) throws InterruptedException {
        exists(path, false);
    }

    void children(String path, boolean watch) throws InterruptedException {
        call("getChildren " + path + (watch ? " watch" : ""), () -> Log.names(zk.getChildren(path, watch)));
    }

    void childrenWithStat(String path, boolean watch) throws InterruptedException {
        call("getChildren2 " + path + (watch ? " watch" : ""), () -> {
            Stat stat = new Stat();
            List<String> names = zk.getChildren(path, watch, stat);
            return Log.names(names) + " " + log.stat(stat);
        });
    }

    void count(String path) throws InterruptedException {
        call("getAllChildrenNumber " + path, () -> Integer.toString(zk.getAllChildrenNumber(path)));
    }

    void getAcl(String path) throws InterruptedException {
        call("getACL " + path, () -> {
            Stat stat = new Stat();
            List<ACL> acl = zk.getACL(path, stat);
            return Log.acl(acl) + " " + log.stat(stat);
        });
    }

    void setAcl(String path, List<ACL> acl, int version) throws InterruptedException {
        call("setACL " + path + " " + Log.acl(acl) + " v=" + version, () -> log.stat(zk.setACL(path, acl, version)));
    }

    void multi(List<Op> ops) throws InterruptedException {
        call("multi " + Log.ops(ops), () -> log.results(zk.multi(ops)));
    }

    void ephemerals(String prefix) throws InterruptedException {
        call("getEphemerals " + prefix, () -> Log.names(zk.getEphemerals(prefix)));
    }

    void whoAmI() throws InterruptedException {
        call("whoAmI", () -> {
            List<String> shown = new ArrayList<>();
            zk.whoAmI().forEach(info -> shown.add(info.getAuthScheme() + ":" + info.getUser()));
            return Log.names(shown);
        });
    }

    void addWatch(String path, AddWatchMode mode) throws InterruptedException {
        call("addWatch " + path + " " + mode, () -> {
            zk.addWatch(path, mode);
            return "done";
        });
    }

    /** The types of later client versions are looked up by name, so that one source serves all of them. */
    void removeWatches(String path, String type, boolean local) throws InterruptedException {
        Watcher.WatcherType kind;
        try {
            kind = Watcher.WatcherType.valueOf(type);
        } catch (IllegalArgumentException absent) {
            say("removeWatches " + path + " " + type + " -> unknown to this client");
            return;
        }
        call("removeWatches " + path + " " + type + (local ? " local" : ""), () -> {
            zk.removeAllWatches(path, kind, local);
            return "done";
        });
    }

    void auth(String scheme, String secret) {
        say("addAuthInfo " + scheme + " " + secret);
        zk.addAuthInfo(scheme, bytes(secret));
    }

    void close() throws InterruptedException {
        zk.close();
    }

    static byte[] bytes(String data) {
        return data == null ? null : data.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
    }
}
