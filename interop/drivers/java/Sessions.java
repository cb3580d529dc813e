import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher.Event.KeeperState;

/** Sessions: resumed, refused, expired, closed; what the client makes of each. */
final class Sessions {
    private Sessions() {
    }

    static void register() {
        Drive.scenario("session-negotiation", Sessions::negotiation);
        Drive.scenario("session-resume", Sessions::resume);
        Drive.scenario("session-wrong-password", Sessions::wrongPassword);
        Drive.scenario("session-expired-elsewhere", Sessions::expiredElsewhere);
        Drive.scenario("session-expiry", Sessions::expiry);
        Drive.scenario("session-idle", Sessions::idle);
        Drive.scenario("session-close", Sessions::close);
    }

    private static void negotiation(Drive.Run run) throws Exception {
        for (int timeout : new int[] {500, 1000, 12_345, 60_000, 10_000_000}) {
            Client c = run.client("c", run.address(), timeout);
            c.say(timeout + " becomes " + c.zk.getSessionTimeout() + " password of " + c.zk.getSessionPasswd().length);
        }
    }

    private static void resume(Drive.Run run) throws Exception {
        Client first = run.start();
        // Behind a proxy, since a handle whose session another one takes would at once take it back.
        try (Proxy proxy = new Proxy(run.host, run.port)) {
            Client c = run.client("owner", proxy.address(), 30_000);
            c.create(run.root + "/e", "", CreateMode.EPHEMERAL);
            proxy.cut();
            c.awaitState(KeeperState.Disconnected);
            Client again = run.adopt(new Client(run.log, "again", run.address(), 20_000, c.zk.getSessionId(),
                c.zk.getSessionPasswd()));
            again.awaitState(KeeperState.SyncConnected);
            again.exists(run.root + "/e");
            again.say("same session " + (again.zk.getSessionId() == c.zk.getSessionId()));
            again.ephemerals("/");
            first.ephemerals("/");
        }
    }

    private static void wrongPassword(Drive.Run run) throws Exception {
        Client c = run.start();
        Client thief = run.adopt(new Client(run.log, "thief", run.address(), 20_000, c.zk.getSessionId(), new byte[16]));
        thief.awaitState(KeeperState.Expired);
        thief.exists(run.root);
        Client unknown = run.adopt(new Client(run.log, "unknown", run.address(), 20_000, 0x123456789L, new byte[16]));
        unknown.awaitState(KeeperState.Expired);
    }

    private static void expiredElsewhere(Drive.Run run) throws Exception {
        Client w = run.start();
        try (Proxy proxy = new Proxy(run.host, run.port)) {
            Client c = run.client("owner", proxy.address(), 30_000);
            c.create(run.root + "/e", "", CreateMode.EPHEMERAL);
            w.exists(run.root + "/e", true);
            proxy.cut();
            c.awaitState(KeeperState.Disconnected);
            Client killer = run.adopt(new Client(run.log, "killer", run.address(), 30_000, c.zk.getSessionId(),
                c.zk.getSessionPasswd()));
            killer.awaitState(KeeperState.SyncConnected);
            killer.close();
            w.awaitEvent();
            proxy.restore();
            c.awaitState(KeeperState.Expired);
            c.exists(run.root);
        }
    }

    private static void expiry(Drive.Run run) throws Exception {
        Client w = run.start();
        try (Proxy proxy = new Proxy(run.host, run.port)) {
            Client c = run.client("owner", proxy.address(), 1000);
            c.create(run.root + "/e", "", CreateMode.EPHEMERAL);
            w.exists(run.root + "/e", true);
            proxy.cut();
            w.awaitEvent();
            // Not its Stat: while this was waited for, sessions of earlier scenarios may have expired as well.
            w.children(run.root, false);
            proxy.restore();
            c.awaitState(KeeperState.Expired);
        }
    }

    private static void idle(Drive.Run run) throws Exception {
        // The client's pings alone must keep the session well beyond its timeout.
        Client c = run.client("c", run.address(), 1000);
        c.create(run.root, "", CreateMode.EPHEMERAL);
        Thread.sleep(3000);
        c.exists(run.root);
        c.events();
    }

    private static void close(Drive.Run run) throws Exception {
        Client w = run.start();
        Client c = run.client("c");
        c.create(run.root + "/e", "", CreateMode.EPHEMERAL);
        w.get(run.root + "/e", true);
        c.close();
        w.events();
        w.exists(run.root + "/e");
    }
}
