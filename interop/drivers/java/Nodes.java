import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;

/** Creating, reading, changing and deleting nodes; system nodes and quotas. */
final class Nodes {
    private static final String QUOTA = "/zookeeper/quota";

    private Nodes() {
    }

    static void register() {
        Drive.scenario("create-modes", Nodes::createModes);
        Drive.scenario("create-errors", Nodes::createErrors);
        Drive.scenario("create-async", Nodes::createAsync);
        Drive.scenario("sequential", Nodes::sequential);
        Drive.scenario("data", Nodes::data);
        Drive.scenario("delete-and-versions", Nodes::deleteAndVersions);
        Drive.scenario("stat-rules", Nodes::statRules);
        Drive.scenario("reads", Nodes::reads);
        Drive.scenario("reads-async", Nodes::readsAsync);
        Drive.scenario("chroot", Nodes::chroot);
        Drive.scenario("system-nodes", Nodes::systemNodes);
        Drive.scenario("reconfig", Nodes::reconfig);
        Drive.scenario("quota", Nodes::quota);
        Drive.scenario("pipeline", Nodes::pipeline);
    }

    private static void createModes(Drive.Run run) throws Exception {
        Client c = run.start();
        for (CreateMode mode : CreateMode.values()) {
            if (!mode.isTTL()) {
                c.create(run.root + "/plain-" + mode, "x", mode);
            }
            c.createWithStat(run.root + "/stat-" + mode, "x", mode, mode.isTTL() ? 3_600_000 : -1);
        }
        c.createWithStat(run.root + "/ttl", "x", CreateMode.PERSISTENT_WITH_TTL, 0);
        c.createWithStat(run.root + "/ttl", "x", CreateMode.PERSISTENT_WITH_TTL, (1L << 40) - 1);
        c.createWithStat(run.root + "/ttl2", "x", CreateMode.PERSISTENT_WITH_TTL, 1L << 40);
        c.childrenWithStat(run.root, false);
        for (String name : c.zk.getChildren(run.root, false).stream().sorted().toArray(String[]::new)) {
            c.get(run.root + "/" + name);
        }
        c.ephemerals("/");
        c.ephemerals(run.root + "/stat-");
        c.count(run.root);
    }

    private static void createErrors(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.create(p, "");
        c.create(p + "/none/x", "");
        c.create(p + "/e", "", CreateMode.EPHEMERAL);
        c.create(p + "/e/x", "");
        c.create(p + "/a//b", "");
        c.create(p + "/.", "");
        c.create("/", "");
        c.create("/zookeeper", "");
        c.create("/zookeeper/config/x", "");
        c.create(p + "/ro", "", Ids.READ_ACL_UNSAFE, CreateMode.PERSISTENT);
        c.create(p + "/ro/x", "");
        c.create(p + "/noacl", "", new ArrayList<>(), CreateMode.PERSISTENT);
        c.create(p + "/creator", "", Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        c.create(p + "/\u00e4\u4e2d", "");
        c.children(p, false);
    }

    private static void createAsync(Drive.Run run) throws Exception {
        Client c = run.start();
        List<String> lines = new ArrayList<>();
        CountDownLatch done = new CountDownLatch(8);
        String p = run.root;
        byte[] x = Client.bytes("x");
        for (String path : new String[] {p + "/a", p + "/a", p + "/none/x", p + "/a/b"}) {
            c.zk.create(path, x, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, at, ctx, name) -> {
                lines.add("create " + at + " -> " + Log.code(rc) + " " + name);
                done.countDown();
            }, null);
            c.zk.create(path + "2", x, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL, (rc, at, ctx, name, stat) -> {
                lines.add("create2 " + at + " -> " + Log.code(rc) + " " + name + " " + run.log.stat(stat));
                done.countDown();
            }, null);
        }
        if (!done.await(Client.ANSWER_SECONDS, TimeUnit.SECONDS)) {
            c.say("callbacks are missing");
        }
        lines.forEach(c::say);
    }

    private static void sequential(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        for (int turn = 0; turn < 3; turn++) {
            c.create(p + "/s-", "", CreateMode.PERSISTENT_SEQUENTIAL);
            c.create(p + "/e-", "", CreateMode.EPHEMERAL_SEQUENTIAL);
        }
        c.delete(p + "/s-0000000000");
        c.create(p + "/plain", "");
        c.create(p + "/s-", "", CreateMode.PERSISTENT_SEQUENTIAL);
        c.create(p + "/", "", CreateMode.PERSISTENT_SEQUENTIAL);
        c.childrenWithStat(p, false);
    }

    private static void data(Drive.Run run) throws Exception {
        Client c = run.start();
        String[] values = {null, "", "x", "\u0000\u00ff", "y".repeat(100_000)};
        for (int turn = 0; turn < values.length; turn++) {
            String path = run.root + "/n" + turn;
            c.create(path, values[turn]);
            c.get(path);
            c.set(path, values[values.length - 1 - turn]);
            c.get(path);
        }
        c.call("a frame beyond the limit", () -> {
            c.zk.setData(run.root, new byte[1_048_576 + 100], -1);
            return "done";
        });
        c.awaitEvent();
        c.awaitEvent();
        c.exists(run.root);
    }

    private static void deleteAndVersions(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.create(p + "/n", "");
        c.set(p + "/n", "1", 0);
        c.set(p + "/n", "2", 0);
        c.set(p + "/n", "2", -1);
        c.set(p + "/n", "2", -2);
        c.delete(p + "/n", 1);
        c.create(p + "/n/k", "");
        c.delete(p + "/n", 2);
        c.delete(p + "/n/k", 0);
        c.delete(p + "/n", 2);
        c.delete(p + "/n", 2);
        c.delete(p + "/none/x");
        c.set(p + "/n", "x");
        for (String system : new String[] {"/zookeeper", QUOTA, "/zookeeper/config"}) {
            c.delete(system);
        }
    }

    private static void statRules(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.create(p + "/a", "1");
        c.exists(p);
        c.create(p + "/a/b", "22");
        c.exists(p);
        c.exists(p + "/a");
        c.set(p + "/a", "333");
        c.exists(p);
        c.setAcl(p + "/a", Ids.OPEN_ACL_UNSAFE, 0);
        c.setAcl(p + "/a", Ids.OPEN_ACL_UNSAFE, 0);
        c.exists(p + "/a");
        c.delete(p + "/a/b");
        c.exists(p + "/a");
        c.delete(p + "/a");
        c.exists(p);
        c.exists(p + "/a");
    }

    private static void reads(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.create(p + "/a", "1");
        c.create(p + "/a/b", "2");
        c.create(p + "/c", "3");
        for (String path : new String[] {p, p + "/a", p + "/none", "/zookeeper"}) {
            c.exists(path);
            c.get(path);
            c.children(path, false);
            c.childrenWithStat(path, false);
            c.count(path);
            c.getAcl(path);
        }
    }

    private static void readsAsync(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.create(p + "/a", "1");
        for (String path : new String[] {p, p + "/none"}) {
            List<String> lines = new ArrayList<>();
            CountDownLatch done = new CountDownLatch(9);
            c.zk.exists(path, false, (rc, at, ctx, stat) -> {
                lines.add("exists " + Log.code(rc) + " " + run.log.stat(stat));
                done.countDown();
            }, null);
            c.zk.getData(path, false, (rc, at, ctx, data, stat) -> {
                lines.add("getData " + Log.code(rc) + " " + Log.text(data) + " " + run.log.stat(stat));
                done.countDown();
            }, null);
            c.zk.getChildren(path, false, (rc, at, ctx, names) -> {
                lines.add("getChildren " + Log.code(rc) + " " + Log.names(names));
                done.countDown();
            }, null);
            c.zk.getChildren(path, false, (rc, at, ctx, names, stat) -> {
                lines.add("getChildren2 " + Log.code(rc) + " " + Log.names(names) + " " + run.log.stat(stat));
                done.countDown();
            }, null);
            c.zk.getACL(path, new Stat(), (rc, at, ctx, acl, stat) -> {
                lines.add("getACL " + Log.code(rc) + " " + Log.acl(acl) + " " + run.log.stat(stat));
                done.countDown();
            }, null);
            c.zk.getAllChildrenNumber(path, (rc, at, ctx, number) -> {
                lines.add("getAllChildrenNumber " + Log.code(rc) + " " + number);
                done.countDown();
            }, null);
            c.zk.getEphemerals(path, (rc, ctx, names) -> {
                lines.add("getEphemerals " + Log.code(rc) + " " + Log.names(names));
                done.countDown();
            }, null);
            c.zk.setData(path, Client.bytes("z"), -1, (rc, at, ctx, stat) -> {
                lines.add("setData " + Log.code(rc) + " " + run.log.stat(stat));
                done.countDown();
            }, null);
            c.zk.delete(path + "/none", -1, (rc, at, ctx) -> {
                lines.add("delete " + Log.code(rc));
                done.countDown();
            }, null);
            if (!done.await(Client.ANSWER_SECONDS, TimeUnit.SECONDS)) {
                c.say("callbacks are missing");
            }
            lines.forEach(c::say);
        }
    }

    private static void chroot(Drive.Run run) throws Exception {
        Client c = run.start();
        c.create(run.root + "/jail", "");
        Client inside = run.client("inside", run.address() + run.root + "/jail", 30_000);
        inside.children("/", true);
        inside.exists("/n", true);
        inside.create("/n", "x");
        inside.create("/n/s-", "x", CreateMode.PERSISTENT_SEQUENTIAL);
        inside.create("/e", "x", CreateMode.EPHEMERAL);
        inside.events();
        inside.ephemerals("/");
        inside.count("/");
        inside.delete("/none");
        c.childrenWithStat(run.root + "/jail", false);
        Client lost = run.client("lost", run.address() + run.root + "/none", 30_000);
        lost.create("/n", "x");
        lost.children("/", false);
    }

    private static void systemNodes(Drive.Run run) throws Exception {
        Client c = run.client("c");
        c.get("/zookeeper");
        c.get(QUOTA);
        c.getAcl("/zookeeper/config");
        c.call("getConfig", () -> {
            Stat stat = new Stat();
            return Log.text(c.zk.getConfig(false, stat)) + " " + run.log.stat(stat);
        });
        c.set("/zookeeper/config", "x");
        c.create("/zookeeper/x", "");
        c.delete("/zookeeper/x");
    }

    private static void reconfig(Drive.Run run) throws Exception {
        Client c = run.client("c");
        try (ZooKeeperAdmin admin = new ZooKeeperAdmin(run.address(), 30_000, event -> { })) {
            c.call("reconfig members", () -> Log.text(
                admin.reconfigure(null, null, "server.1=127.0.0.1:2888:3888:participant;2181", -1, new Stat())));
            c.call("reconfig joining", () -> Log.text(
                admin.reconfigure("server.2=127.0.0.1:2889:3889;2182", "3", null, 5, new Stat())));
        }
        c.exists("/");
    }

    private static void quota(Drive.Run run) throws Exception {
        Client c = run.start();
        String q = run.root + "/q";
        String below = QUOTA + q;
        c.create(q, "12");
        c.create(QUOTA + run.root, "");
        c.create(below, "");
        c.create(below + "/zookeeper_limits", "count=3,bytes=-1=;byteHardLimit=10;countHardLimit=3");
        c.create(below + "/zookeeper_stats", "count=0,bytes=0");
        c.get(below + "/zookeeper_stats");
        c.create(q + "/a", "345");
        c.create(q + "/b", "678901");
        c.create(q + "/b", "");
        c.create(q + "/c", "");
        c.create(q + "/c", "", CreateMode.EPHEMERAL);
        c.createWithStat(q + "/c", "", CreateMode.CONTAINER, -1);
        c.createWithStat(q + "/c", "", CreateMode.PERSISTENT_WITH_TTL, 100_000);
        c.set(q, "123456789");
        c.set(q + "/b", "12345");
        c.set(q + "/b", "123456");
        c.get(below + "/zookeeper_stats");
        c.delete(q + "/a");
        c.get(below + "/zookeeper_stats");
        c.delete(below + "/zookeeper_limits");
        c.create(q + "/c", "1234567890");
    }

    private static void pipeline(Drive.Run run) throws Exception {
        Client c = run.start();
        int turns = 500;
        List<String> lines = new ArrayList<>();
        CountDownLatch done = new CountDownLatch(3 * turns);
        for (int turn = 0; turn < turns; turn++) {
            String path = run.root + "/n" + turn % 50;
            c.zk.create(path, Client.bytes("x"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (rc, at, ctx, name) -> {
                lines.add("create " + at + " " + rc);
                done.countDown();
            }, null);
            c.zk.getData(path, false, (rc, at, ctx, data, stat) -> {
                lines.add("get " + at + " " + rc + " " + run.log.stat(stat));
                done.countDown();
            }, null);
            c.zk.delete(path, turn % 3 == 0 ? 7 : -1, (rc, at, ctx) -> {
                lines.add("delete " + at + " " + rc);
                done.countDown();
            }, null);
        }
        if (!done.await(Client.ANSWER_SECONDS, TimeUnit.SECONDS)) {
            c.say("callbacks are missing");
        }
        lines.forEach(c::say);
    }
}
