import static org.apache.zookeeper.KeeperException.Code.*;
import static org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/**
 * Every request that the Java client can send to a standalone server, once, step by step: {@code java Session
 * CONTROL-PORT}. One source for 3.8 and 3.9. Changing a step changes the numbers of the steps behind it: add new ones
 * at the end.
 */
final class Session {
    private static final Stat STAT = new Stat();

    private final Client.Recorder recorder;
    private final String address;
    private Client a;

    private Session(int port) throws Exception {
        recorder = new Client.Recorder(port);
        address = recorder.door("main");
    }

    public static void main(String[] arguments) throws Exception {
        Session session = new Session(Integer.parseInt(arguments[0]));
        session.connects();
        session.creates();
        session.reads();
        session.writes();
        session.identities();
        session.multis();
        session.watches();
        session.reconnects();
        session.refusals();
        session.ends();
        System.exit(0);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static List<ACL> acl(ACL... entries) {
        return Arrays.asList(entries);
    }

    private void connects() throws Exception {
        recorder.step("connect/new", () -> a = Client.connect(address, 30_000, false));
        recorder.step("connect/may-be-read-only", () -> {
            Client other = Client.connect(address, 20_000, true);
            recorder.order("mark close/no-ephemerals");
            other.close();
        });
    }

    private void create(String name, String path, byte[] data, List<ACL> acl, CreateMode mode) throws Exception {
        recorder.step("create/" + name, () -> a.zk.create(path, data, acl, mode));
    }

    private void create(String name, String path, CreateMode mode) throws Exception {
        create(name, path, bytes(name), OPEN_ACL_UNSAFE, mode);
    }

    private void creates() throws Exception {
        create("persistent", "/app", CreateMode.PERSISTENT);
        create("ephemeral", "/app/e", CreateMode.EPHEMERAL);
        create("sequential", "/app/s-", CreateMode.PERSISTENT_SEQUENTIAL);
        create("ephemeral-sequential", "/app/es-", CreateMode.EPHEMERAL_SEQUENTIAL);
        create("null-data", "/app/null", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        create("empty-data", "/app/empty", new byte[0], OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        create("binary-data", "/app/binary", new byte[] {0, 1, 127, -128, -1}, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        create("umlaut", "/app/größe", CreateMode.PERSISTENT);
        create("acl", "/app/acl", bytes("acl"),
            acl(new ACL(Perms.READ, new Id("world", "anyone")),
                new ACL(Perms.ALL, new Id("digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=")),
                new ACL(Perms.READ | Perms.WRITE, new Id("ip", "10.0.0.0/8"))),
            CreateMode.PERSISTENT);
        recorder.step("create2/persistent",
            () -> a.zk.create("/app/two", bytes("two"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, STAT));
        recorder.step("create2/ephemeral",
            () -> a.zk.create("/app/two-e", bytes("two"), OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, STAT));
        create("container", "/app/c", CreateMode.CONTAINER);
        recorder.step("create2/container",
            () -> a.zk.create("/app/c2", bytes("c2"), OPEN_ACL_UNSAFE, CreateMode.CONTAINER, STAT));
        recorder.step("create/ttl", () -> a.zk.create("/app/ttl", bytes("ttl"), OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT_WITH_TTL, STAT, 86_400_000));
        recorder.step("create/ttl-sequential", () -> a.zk.create("/app/ttl-", bytes("ttl"), OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, STAT, 0xff_ffff_ffffL));
    }

    private void reads() throws Exception {
        recorder.step("exists/there", () -> a.zk.exists("/app", false));
        recorder.step("exists/ephemeral", () -> a.zk.exists("/app/e", false));
        recorder.step("exists/missing", () -> a.zk.exists("/missing", false));
        recorder.step("get-data/text", () -> a.zk.getData("/app", false, STAT));
        recorder.step("get-data/null", () -> a.zk.getData("/app/null", false, STAT));
        recorder.step("get-data/empty", () -> a.zk.getData("/app/empty", false, STAT));
        recorder.step("get-data/binary", () -> a.zk.getData("/app/binary", false, STAT));
        recorder.step("get-data/ttl", () -> a.zk.getData("/app/ttl", false, STAT));
        recorder.step("get-data/config", () -> a.zk.getData("/zookeeper/config", false, STAT));
        recorder.step("get-children/none", () -> a.zk.getChildren("/app/e", false));
        recorder.step("get-children/root", () -> a.zk.getChildren("/", false));
        recorder.step("get-children/many", () -> a.zk.getChildren("/app", false));
        recorder.step("get-children2/two", () -> a.zk.getChildren("/zookeeper", false, STAT));
        recorder.step("get-all-children-number/root", () -> a.zk.getAllChildrenNumber("/"));
        recorder.step("get-ephemerals/one", () -> a.zk.getEphemerals("/app/es"));
        recorder.step("get-ephemerals/all", () -> a.zk.getEphemerals());
        recorder.step("get-acl/open", () -> a.zk.getACL("/app", STAT));
        recorder.step("get-acl/masked", () -> a.zk.getACL("/app/acl", STAT));
        recorder.step("sync/path", () -> {
            a.zk.sync("/app", (code, path, context) -> { }, null);
            recorder.order("answer");
        });
        recorder.step("who-am-i/address", () -> a.zk.whoAmI());
    }

    private void writes() throws Exception {
        recorder.step("set-data/any-version", () -> a.zk.setData("/app", bytes("second"), -1));
        recorder.step("set-data/version", () -> a.zk.setData("/app", bytes("third"), 1));
        recorder.step("set-data/null", () -> a.zk.setData("/app/two", null, 0));
        recorder.step("set-acl/any-version", () -> a.zk.setACL("/app/empty",
            acl(new ACL(Perms.READ | Perms.ADMIN, new Id("world", "anyone"))), -1));
        recorder.step("get-acl/set", () -> a.zk.getACL("/app/empty", STAT));
        recorder.step("delete/version", () -> a.zk.delete("/app/two", 1));
        recorder.step("delete/any-version", () -> a.zk.delete("/app/s-0000000001", -1));
    }

    private void identities() throws Exception {
        recorder.step("auth/digest", () -> {
            a.zk.addAuthInfo("digest", bytes("bob:pw"));
            recorder.order("answer");
        });
        recorder.step("who-am-i/digest", () -> a.zk.whoAmI());
        recorder.step("get-acl/unmasked", () -> a.zk.getACL("/app/acl", STAT));
        create("creator-only", "/app/own", bytes("own"), CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        recorder.step("set-acl/version",
            () -> a.zk.setACL("/app/acl", acl(new ACL(Perms.ALL, new Id("auth", ""))), 0));
    }

    private void multis() throws Exception {
        recorder.step("multi/success", () -> a.zk.multi(Arrays.asList(
            Op.check("/app", 2),
            Op.create("/app/m", bytes("m"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.create("/app/m/e-", bytes("e"), OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL),
            Op.create("/app/m/c", bytes("c"), OPEN_ACL_UNSAFE, CreateMode.CONTAINER),
            Op.create("/app/m/ttl", bytes("t"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, 5_000_000),
            Op.setData("/app/m", bytes("set"), 0),
            Op.delete("/app/m/c", 0))));
        recorder.refused("multi/failure", BADVERSION, () -> a.zk.multi(Arrays.asList(
            Op.create("/app/f", bytes("f"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.check("/app", 77),
            Op.delete("/app/m", -1))));
        recorder.step("multi-read/mixed", () -> a.zk.multi(Arrays.asList(
            Op.getData("/app"),
            Op.getChildren("/app/m/e-0000000000"),
            Op.getData("/missing"),
            Op.getData("/app/null"))));
    }

    private void watches() throws Exception {
        recorder.step("exists/watch-missing", () -> a.zk.exists("/app/w", true));
        recorder.step("event/created", () -> {
            a.zk.create("/app/w", bytes("w"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            a.await(1);
        });
        recorder.step("get-data/watch", () -> a.zk.getData("/app/w", true, STAT));
        recorder.step("event/data-changed", () -> {
            a.zk.setData("/app/w", bytes("x"), -1);
            a.await(1);
        });
        recorder.step("get-children/watch", () -> a.zk.getChildren("/app/w", true));
        recorder.step("event/children-changed", () -> {
            a.zk.create("/app/w/k", bytes("k"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            a.await(1);
        });
        recorder.step("get-children2/watch", () -> a.zk.getChildren("/app/w", true, STAT));
        recorder.step("exists/watch-there", () -> a.zk.exists("/app/w/k", true));
        recorder.step("event/deleted", () -> {
            a.zk.delete("/app/w/k", -1);
            a.await(2);
        });
        recorder.step("add-watch/persistent", () -> a.zk.addWatch("/app/w", AddWatchMode.PERSISTENT));
        recorder.step("add-watch/recursive", () -> a.zk.addWatch("/app/m", AddWatchMode.PERSISTENT_RECURSIVE));
        recorder.step("event/persistent", () -> {
            a.zk.create("/app/w/k", bytes("k"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            a.zk.setData("/app/w", bytes("y"), -1);
            a.await(2);
        });
        recorder.step("event/recursive", () -> {
            a.zk.setData("/app/m/e-0000000000", bytes("y"), -1);
            a.zk.create("/app/m/deep", bytes("d"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            a.await(2);
        });
        recorder.step("remove-watches/any", () -> a.zk.removeAllWatches("/app/w", WatcherType.Any, false));
        recorder.step("remove-watches/any-recursive", () -> a.zk.removeAllWatches("/app/m", WatcherType.Any, false));
        recorder.step("exists/watch-for-removal", () -> a.zk.exists("/app/w", true));
        recorder.step("remove-watches/data", () -> a.zk.removeAllWatches("/app/w", WatcherType.Data, false));
        recorder.step("get-children/watch-for-removal", () -> a.zk.getChildren("/app/w", true));
        recorder.step("remove-watches/children", () -> a.zk.removeAllWatches("/app/w", WatcherType.Children, false));
    }

    /** What a client tells the server when it comes back, and what it is told. */
    private void reconnects() throws Exception {
        for (String name : new String[] {"same", "changed", "parent", "gone"}) {
            create("for-reconnect", "/app/w/" + name, CreateMode.PERSISTENT);
        }
        String door = recorder.door("w");
        recorder.order("mark connect/watcher");
        Client w = Client.connect(door, 30_000, false);
        recorder.step("auth/watcher", () -> {
            w.zk.addAuthInfo("digest", bytes("joe:pw"));
            recorder.order("answer");
        });
        recorder.step("get-data/for-reconnect", () -> {
            for (String name : new String[] {"same", "changed", "gone"}) {
                w.zk.getData("/app/w/" + name, true, STAT);
            }
        });
        recorder.step("get-children/for-reconnect", () -> {
            w.zk.getChildren("/app/w/same", true);
            w.zk.getChildren("/app/w/parent", true);
        });
        recorder.step("exists/for-reconnect", () -> {
            w.zk.exists("/app/w/later", true);
            w.zk.exists("/app/w/never", true);
        });
        recorder.order("mark cut/first");
        recorder.order("cut w");
        w.await(KeeperState.Disconnected);
        recorder.step("set-data/while-away", () -> a.zk.setData("/app/w/changed", bytes("x"), -1));
        create("while-away", "/app/w/parent/k", CreateMode.PERSISTENT);
        create("later", "/app/w/later", CreateMode.PERSISTENT);
        recorder.step("delete/while-away", () -> a.zk.delete("/app/w/gone", -1));
        recorder.order("mark set-watches/all");
        recorder.order("restore w");
        w.await(KeeperState.SyncConnected);
        w.await(4);
        recorder.step("event/after-return", () -> {
            a.zk.setData("/app/w/same", bytes("x"), -1);
            w.await(1);
        });
        recorder.step("add-watch/for-reconnect", () -> {
            w.zk.addWatch("/app/w/same", AddWatchMode.PERSISTENT);
            w.zk.addWatch("/app/w", AddWatchMode.PERSISTENT_RECURSIVE);
            w.zk.getData("/app/w/changed", true, STAT);
        });
        recorder.order("mark cut/second");
        recorder.order("cut w");
        w.await(KeeperState.Disconnected);
        recorder.step("set-data/while-away-again", () -> a.zk.setData("/app/w/changed", bytes("z"), -1));
        recorder.order("mark set-watches2/all");
        recorder.order("restore w");
        w.await(KeeperState.SyncConnected);
        w.await(1);
        recorder.step("event/after-second-return", () -> {
            a.zk.create("/app/w/never", bytes("n"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            a.zk.create("/app/w/same/k", bytes("k"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            w.await(3);
        });
        recorder.step("close/watcher", w::close);
        renewals();
    }

    private void renewals() throws Exception {
        recorder.order("mark connect/for-renewal");
        Client r = Client.connect(recorder.door("r"), 25_000, false);
        recorder.order("mark cut/for-renewal");
        recorder.order("cut r");
        r.await(KeeperState.Disconnected);
        long session = r.zk.getSessionId();
        byte[] password = r.zk.getSessionPasswd();
        recorder.step("connect/wrong-password",
            () -> Client.resume(address, 15_000, session, new byte[16], KeeperState.Expired));
        recorder.order("mark connect/renewed");
        Client again = Client.resume(address, 15_000, session, password, KeeperState.SyncConnected);
        recorder.step("create/of-renewed", () -> again.zk.create("/app/renewed", bytes("r"), OPEN_ACL_UNSAFE,
            CreateMode.EPHEMERAL));
        recorder.step("exists/watch-ephemeral", () -> a.zk.exists("/app/renewed", true));
        recorder.step("close/ephemeral", again::close);
        a.await(1);
        recorder.step("connect/closed-session",
            () -> Client.resume(address, 15_000, session, password, KeeperState.Expired));
    }

    private void refusals() throws Exception {
        recorder.refused("error/no-node", NONODE, () -> a.zk.getData("/missing", false, STAT));
        recorder.refused("error/no-node-create", NONODE,
            () -> a.zk.create("/missing/k", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        recorder.refused("error/node-exists", NODEEXISTS,
            () -> a.zk.create("/app", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        recorder.refused("error/bad-version", BADVERSION, () -> a.zk.setData("/app", null, 77));
        recorder.refused("error/not-empty", NOTEMPTY, () -> a.zk.delete("/app", -1));
        recorder.refused("error/no-auth", NOAUTH, () -> a.zk.setData("/app/empty", null, -1));
        recorder.refused("error/ephemeral-parent", NOCHILDRENFOREPHEMERALS,
            () -> a.zk.create("/app/e/k", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        recorder.refused("error/invalid-acl", INVALIDACL,
            () -> a.zk.create("/app/bad", null, acl(new ACL(Perms.ALL, new Id("nobody", "knows"))),
                CreateMode.PERSISTENT));
        recorder.refused("error/bad-arguments", BADARGUMENTS, () -> a.zk.delete("/zookeeper", -1));
        create("quota-node", "/limited", CreateMode.PERSISTENT);
        create("quota-parent", "/zookeeper/quota/limited", CreateMode.PERSISTENT);
        StatsTrack limits = new StatsTrack();
        limits.setCount(-1);
        limits.setBytes(-1);
        limits.setCountHardLimit(1);
        limits.setByteHardLimit(-1);
        create("quota-limits", "/zookeeper/quota/limited/zookeeper_limits", limits.getStatsBytes(), OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT);
        StatsTrack counts = new StatsTrack();
        counts.setCount(1);
        counts.setBytes(10);
        create("quota-stats", "/zookeeper/quota/limited/zookeeper_stats", counts.getStatsBytes(), OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT);
        recorder.refused("error/quota", QUOTAEXCEEDED,
            () -> a.zk.create("/limited/k", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
        recorder.order("mark connect/admin");
        Client events = new Client();
        try (ZooKeeperAdmin admin = new ZooKeeperAdmin(address, 30_000, events)) {
            events.await(KeeperState.SyncConnected);
            recorder.refused("reconfig/disabled", RECONFIGDISABLED,
                () -> admin.reconfigure(null, "3", null, -1, STAT));
            recorder.refused("reconfig/members", RECONFIGDISABLED,
                () -> admin.reconfigure((String) null, null, "server.1=127.0.0.1:1:2;3", 5, STAT));
            recorder.order("mark close/admin");
        }
    }

    private void ends() throws Exception {
        recorder.order("mark connect/idle");
        Client idle = Client.connect(address, 1_000, false);
        recorder.step("ping/idle", () -> recorder.order("ping"));
        recorder.step("close/idle", idle::close);
        recorder.step("close/session", a::close);
    }
}
