import java.util.Arrays;
import java.util.Collections;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.ACL;

/** Transactions and grouped reads. */
final class Multis {
    private Multis() {
    }

    static void register() {
        Drive.scenario("multi", Multis::multi);
        Drive.scenario("multi-failures", Multis::failures);
        Drive.scenario("multi-async", Multis::async);
        Drive.scenario("multi-read", Multis::read);
        Drive.scenario("multi-transaction", Multis::transaction);
        Drive.scenario("multi-events", Multis::events);
    }

    private static Op create(String path, CreateMode mode) {
        return Op.create(path, Client.bytes("x"), Ids.OPEN_ACL_UNSAFE, mode);
    }

    private static Op create(String path) {
        return create(path, CreateMode.PERSISTENT);
    }

    private static Op set(String path, int version) {
        return Op.setData(path, Client.bytes("new"), version);
    }

    private static void multi(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.multi(Arrays.asList(create(p + "/a"), set(p + "/a", 0), Op.check(p + "/a", 1), create(p + "/a/k"),
            Op.delete(p + "/a/k", 0), Op.delete(p + "/a", -1)));
        for (CreateMode mode : CreateMode.values()) {
            if (mode.isTTL()) {
                c.multi(Arrays.asList(Op.create(p + "/" + mode, Client.bytes("x"), Ids.OPEN_ACL_UNSAFE, mode, 3_600_000)));
            } else {
                c.multi(Arrays.asList(create(p + "/" + mode, mode)));
            }
        }
        c.multi(Collections.emptyList());
        c.childrenWithStat(p, false);
        c.multi(Arrays.asList(create(p + "/s-", CreateMode.PERSISTENT_SEQUENTIAL),
            create(p + "/s-", CreateMode.EPHEMERAL_SEQUENTIAL), set(p, -1)));
    }

    private static void failures(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.multi(Arrays.asList(create(p + "/a"), create(p + "/a"), create(p + "/b")));
        c.multi(Arrays.asList(Op.check(p + "/none", -1), create(p + "/b")));
        c.multi(Arrays.asList(create(p + "/b"), set(p, 9)));
        c.multi(Arrays.asList(create(p + "/b"), Op.delete(p, -1)));
        c.multi(Arrays.asList(create(p + "/e", CreateMode.EPHEMERAL), create(p + "/e/x")));
        c.multi(Arrays.asList(Op.create(p + "/x", null, Collections.<ACL>emptyList(), CreateMode.PERSISTENT)));
        c.multi(Arrays.asList(Op.delete("/zookeeper", -1)));
        c.create(p + "/ro", "", Ids.READ_ACL_UNSAFE, CreateMode.PERSISTENT);
        c.multi(Arrays.asList(Op.check(p + "/ro", 0), create(p + "/ro/x")));
        c.childrenWithStat(p, false);
    }

    private static void async(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        CountDownLatch done = new CountDownLatch(2);
        c.zk.multi(Arrays.asList(create(p + "/a"), set(p + "/a", 0)), (rc, path, ctx, results) -> {
            c.say("multi -> " + Log.code(rc) + " " + run.log.results(results));
            done.countDown();
        }, null);
        c.zk.multi(Arrays.asList(create(p + "/b"), set(p + "/none", 0), create(p + "/c")), (rc, path, ctx, results) -> {
            c.say("multi -> " + Log.code(rc) + " " + run.log.results(results));
            done.countDown();
        }, null);
        if (!done.await(Client.ANSWER_SECONDS, TimeUnit.SECONDS)) {
            c.say("callbacks are missing");
        }
    }

    private static void read(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.create(p + "/a", "1");
        c.create(p + "/secret", "1", Arrays.asList(new ACL(30, Ids.ANYONE_ID_UNSAFE)), CreateMode.PERSISTENT);
        c.multi(Arrays.asList(Op.getData(p + "/a"), Op.getChildren(p), Op.getData(p + "/none"), Op.getChildren(p + "/none"),
            Op.getData(p + "/secret"), Op.getChildren(p + "/a")));
    }

    private static void transaction(Drive.Run run) throws Exception {
        Client c = run.start();
        String p = run.root;
        c.call("transaction", () -> run.log.results(c.zk.transaction()
            .create(p + "/t", Client.bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .check(p + "/t", 0).setData(p + "/t", Client.bytes("2"), 0).delete(p + "/t", 1).commit()));
        c.call("transaction", () -> run.log.results(c.zk.transaction()
            .create(p + "/t", Client.bytes("1"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .check(p + "/t", 1).commit()));
        c.exists(p);
    }

    private static void events(Drive.Run run) throws Exception {
        Client c = run.start();
        Client w = run.client("w");
        String p = run.root;
        w.children(p, true);
        w.exists(p + "/a", true);
        w.get(p, true);
        c.multi(Arrays.asList(create(p + "/a"), set(p + "/a", 0), create(p + "/a/k"), set(p, 0), Op.delete(p + "/a/k", 0)));
        w.events();
        c.multi(Arrays.asList(set(p + "/a", -1), Op.check(p, 99)));
        w.events();
    }
}
