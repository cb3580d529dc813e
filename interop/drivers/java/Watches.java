import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher;

/** One-shot, persistent and recursive watches; their removal; their return after a reconnect. */
final class Watches {
    private static final String[] TYPES = {"Children", "Data", "Any", "Persistent", "PersistentRecursive"};

    private Watches() {
    }

    static void register() {
        Drive.scenario("watch-one-shot", Watches::oneShot);
        Drive.scenario("watch-persistent", run -> added(run, AddWatchMode.PERSISTENT));
        Drive.scenario("watch-recursive", run -> added(run, AddWatchMode.PERSISTENT_RECURSIVE));
        Drive.scenario("watch-own-writes", Watches::ownWrites);
        Drive.scenario("watch-modes-together", Watches::modesTogether);
        Drive.scenario("watch-removal", Watches::removal);
        Drive.scenario("watch-removal-of-one", Watches::removalOfOne);
        Drive.scenario("watch-reconnect", Watches::reconnect);
        Drive.scenario("watch-reconnect-many", Watches::reconnectMany);
        Drive.scenario("watch-ephemeral-close", Watches::ephemeralClose);
    }

    /** Every kind of write at a node, its parent and its child. */
    private static void writes(Client c, String p) throws InterruptedException {
        c.create(p + "/n", "1");
        c.set(p + "/n", "2");
        c.create(p + "/n/k", "");
        c.set(p + "/n/k", "2");
        c.setAcl(p + "/n", org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE, -1);
        c.delete(p + "/n/k");
        c.delete(p + "/n");
        c.create(p + "/n", "", CreateMode.EPHEMERAL);
        c.delete(p + "/n");
        c.create(p + "/n", "", CreateMode.CONTAINER);
        c.set(p, "p");
        c.delete(p + "/n");
    }

    private static void oneShot(Drive.Run run) throws Exception {
        Client c = run.start();
        Client w = run.client("w");
        String p = run.root;
        String n = p + "/n";
        w.exists(n, true);
        w.get(n, true);
        w.children(p, true);
        c.create(n, "1");
        w.events();
        w.exists(n, true);
        w.get(n, true);
        w.childrenWithStat(n, true);
        w.childrenWithStat(p, true);
        c.set(n, "2");
        w.events();
        c.create(n + "/k", "");
        w.events();
        c.delete(n + "/k");
        w.get(n, true);
        w.children(n, true);
        c.delete(n);
        w.events();
        c.create(n, "");
        w.events();
    }

    private static void added(Drive.Run run, AddWatchMode mode) throws Exception {
        Client c = run.start();
        Client onParent = run.client("parent");
        Client onNode = run.client("node");
        onParent.addWatch(run.root, mode);
        onNode.addWatch(run.root + "/n", mode);
        writes(c, run.root);
        onParent.events();
        onNode.events();
    }

    private static void ownWrites(Drive.Run run) throws Exception {
        Client c = run.start();
        c.addWatch(run.root, AddWatchMode.PERSISTENT_RECURSIVE);
        c.children(run.root, true);
        writes(c, run.root);
        c.events();
    }

    private static void modesTogether(Drive.Run run) throws Exception {
        Client c = run.start();
        Client w = run.client("w");
        w.addWatch(run.root, AddWatchMode.PERSISTENT);
        w.get(run.root, true);
        w.children(run.root, true);
        c.set(run.root, "1");
        c.set(run.root, "2");
        c.create(run.root + "/k", "");
        w.events();
        w.addWatch(run.root, AddWatchMode.PERSISTENT_RECURSIVE);
        c.set(run.root, "3");
        c.set(run.root + "/k", "3");
        c.delete(run.root + "/k");
        w.events();
    }

    private static void removal(Drive.Run run) throws Exception {
        Client c = run.start();
        for (String type : TYPES) {
            for (boolean local : new boolean[] {false, true}) {
                Client w = run.client("w");
                String path = run.root + "/" + type + local;
                c.create(path, "");
                w.removeWatches(path, type, local);
                w.get(path, true);
                w.children(path, true);
                w.addWatch(path, AddWatchMode.PERSISTENT);
                w.addWatch(path + "/deep", AddWatchMode.PERSISTENT_RECURSIVE);
                w.removeWatches(path, type, local);
                w.removeWatches(path + "/deep", type, local);
                // What the client tells its own watchers of a removal comes in no fixed order.
                w.eventsSorted();
                c.set(path, "x");
                c.create(path + "/deep", "");
                c.create(path + "/deep/er", "");
                w.events();
                w.removeWatches(path, "Any", local);
                w.eventsSorted();
            }
        }
    }

    private static void removalOfOne(Drive.Run run) throws Exception {
        Client c = run.start();
        Client w = run.client("w");
        Watcher first = w.named("first");
        Watcher second = w.named("second");
        w.call("two watchers", () -> {
            w.zk.getData(run.root, first, null);
            w.zk.getData(run.root, second, null);
            w.zk.removeWatches(run.root, first, Watcher.WatcherType.Data, false);
            return "one removed";
        });
        c.set(run.root, "x");
        w.events();
        w.call("the other", () -> {
            w.zk.getData(run.root, second, null);
            w.zk.removeWatches(run.root, second, Watcher.WatcherType.Data, false);
            return "removed";
        });
        c.set(run.root, "y");
        w.events();
    }

    private static void reconnect(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        for (String name : new String[] {"same", "data", "child", "gone", "persistent", "recursive"}) {
            c.create(p + "/" + name, "");
        }
        c.create(p + "/secret", "x", java.util.Arrays.asList(new org.apache.zookeeper.data.ACL(31,
            new org.apache.zookeeper.data.Id("digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="))), CreateMode.PERSISTENT);
        try (Proxy proxy = new Proxy(run.host, run.port)) {
            Client w = run.client("w", proxy.address(), 30_000);
            long session = w.zk.getSessionId();
            w.auth("digest", "bob:pw");
            w.create(p + "/ephemeral", "", CreateMode.EPHEMERAL);
            for (String name : new String[] {"same", "data", "gone"}) {
                w.get(p + "/" + name, true);
            }
            w.children(p + "/child", true);
            w.children(p + "/same", true);
            w.exists(p + "/later", true);
            w.exists(p + "/never", true);
            w.addWatch(p + "/persistent", AddWatchMode.PERSISTENT);
            w.addWatch(p + "/recursive", AddWatchMode.PERSISTENT_RECURSIVE);
            proxy.cut();
            w.awaitState(Watcher.Event.KeeperState.Disconnected);
            c.set(p + "/data", "x");
            c.create(p + "/child/k", "");
            c.delete(p + "/gone");
            c.create(p + "/later", "");
            c.set(p + "/persistent", "missed");
            c.create(p + "/recursive/missed", "");
            proxy.restore();
            w.awaitState(Watcher.Event.KeeperState.SyncConnected);
            // The catch-up lists go out in the client's hash order.
            w.eventsSorted();
            c.say("same session " + (w.zk.getSessionId() == session));
            w.get(p + "/secret");
            w.exists(p + "/ephemeral");
            for (String name : new String[] {"same", "data", "child", "gone", "later", "never", "persistent"}) {
                c.create(p + "/" + name, "");
                c.set(p + "/" + name, "again");
            }
            c.create(p + "/recursive/seen", "");
            c.create(p + "/same/k", "");
            w.events();
        }
    }

    private static void reconnectMany(Drive.Run run) throws Exception {
        Client c = run.start();
        try (Proxy proxy = new Proxy(run.host, run.port)) {
            Client w = run.client("w", proxy.address(), 30_000);
            // Long paths, so that the client needs several packets to set them again.
            String filler = "x".repeat(400);
            for (int number = 0; number < 700; number++) {
                w.zk.exists(run.root + "/" + filler + number, true);
            }
            proxy.cut();
            w.awaitState(Watcher.Event.KeeperState.Disconnected);
            c.zk.create(run.root + "/" + filler + 7, null, org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT);
            proxy.restore();
            w.awaitState(Watcher.Event.KeeperState.SyncConnected);
            c.zk.create(run.root + "/" + filler + 699, null, org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT);
            w.events();
        }
    }

    private static void ephemeralClose(Drive.Run run) throws Exception {
        Client c = run.start();
        Client owner = run.client("owner");
        for (int number = 0; number < 4; number++) {
            owner.create(run.root + "/e" + number, "", CreateMode.EPHEMERAL);
        }
        c.children(run.root, true);
        c.exists(run.root + "/e0", true);
        c.addWatch(run.root + "/e1", AddWatchMode.PERSISTENT);
        c.addWatch(run.root, AddWatchMode.PERSISTENT_RECURSIVE);
        owner.close();
        c.eventsSorted();
        c.childrenWithStat(run.root, false);
    }
}
