import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

/**
 * Drives a server through the Java client and prints what it saw: {@code java Drive HOST:PORT [PART-OF-A-NAME]}.
 *
 * <p>The server must be fresh and configured as the profile "full" says. Two runs against the same kind of server print
 * the same text.
 */
public final class Drive {
    interface Scenario {
        void run(Run run) throws Exception;
    }

    /** What a scenario gets: the log, the server's address and clients that are closed behind it. */
    static final class Run {
        final Log log;
        final String host;
        final int port;
        final String root;
        private final List<Client> clients = new ArrayList<>();

        Run(Log log, String host, int port, String name) {
            this.log = log;
            this.host = host;
            this.port = port;
            this.root = "/" + name;
        }

        String address() {
            return host + ":" + port;
        }

        /** A connected client; its connection event is not logged. */
        Client client(String label) throws Exception {
            return client(label, address(), 30_000);
        }

        Client client(String label, String address, int timeoutMs) throws Exception {
            Client client = adopt(new Client(log, label, address, timeoutMs));
            CountDownLatch connected = new CountDownLatch(1);
            // Connected means: a request has been answered.
            client.zk.sync("/", (rc, path, ctx) -> connected.countDown(), null);
            if (!connected.await(Client.ANSWER_SECONDS, TimeUnit.SECONDS)) {
                throw new IllegalStateException("no connection");
            }
            client.awaitState(Watcher.Event.KeeperState.SyncConnected);
            return client;
        }

        Client adopt(Client client) {
            clients.add(client);
            return client;
        }

        /** The first client, and the scenario's own root node. */
        Client start() throws Exception {
            Client client = client("c");
            client.create(root, "");
            client.exists(root);
            return client;
        }

        void close() throws InterruptedException {
            for (Client client : clients) {
                client.close();
            }
        }
    }

    private static final Map<String, Scenario> SCENARIOS = new LinkedHashMap<>();

    static void scenario(String name, Scenario scenario) {
        SCENARIOS.put(name, scenario);
    }

    private Drive() {
    }

    public static void main(String[] arguments) throws Exception {
        String[] address = arguments[0].split(":");
        String only = arguments.length > 1 ? arguments[1] : "";
        Nodes.register();
        Acls.register();
        Multis.register();
        Watches.register();
        Sessions.register();
        Log log = new Log();
        for (Map.Entry<String, Scenario> entry : SCENARIOS.entrySet()) {
            if (!entry.getKey().contains(only)) {
                continue;
            }
            long began = System.nanoTime();
            log.start(entry.getKey());
            Run run = new Run(log, address[0], Integer.parseInt(address[1]), entry.getKey());
            try {
                entry.getValue().run(run);
            } catch (Exception error) {
                log.line("!! ended early: " + error);
            }
            run.close();
            cleanUp(arguments[0]);
            System.err.println(entry.getKey() + " " + (System.nanoTime() - began) / 1_000_000 + " ms");
        }
        // The proxies' threads and a client that could not close must not keep the program.
        System.out.flush();
        System.exit(0);
    }

    /** Deletes every node that scenarios made. */
    private static void cleanUp(String address) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        try (ZooKeeper zk = new ZooKeeper(address, 30_000, event -> connected.countDown())) {
            if (!connected.await(Client.ANSWER_SECONDS, TimeUnit.SECONDS)) {
                throw new IllegalStateException("no connection to clean up");
            }
            zk.addAuthInfo("digest", "super:driver".getBytes());
            deleteBelow(zk, "/");
        }
    }

    private static void deleteBelow(ZooKeeper zk, String path) throws InterruptedException, KeeperException {
        for (String child : zk.getChildren(path, false)) {
            String below = (path.equals("/") ? "" : path) + "/" + child;
            deleteBelow(zk, below);
            if (!below.equals(ZooDefs.CONFIG_NODE) && !below.equals("/zookeeper") && !below.equals("/zookeeper/quota")) {
                zk.delete(below, -1);
            }
        }
    }
}
