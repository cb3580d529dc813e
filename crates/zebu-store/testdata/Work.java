// The client of make.sh: first one transaction of every kind, then (second run) two more.

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

public class Work {
    static final List<ACL> OPEN = ZooDefs.Ids.OPEN_ACL_UNSAFE;

    static byte[] bytes(String text) throws Exception {
        return text.getBytes("UTF-8");
    }

    static ZooKeeper open(String server) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(server, 30000, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
        return client;
    }

    public static void main(String[] args) throws Exception {
        ZooKeeper client = open(args[0]);
        if (args[1].equals("first")) {
            first(client, args[0]);
        } else {
            client.create("/second", bytes("run"), OPEN, CreateMode.PERSISTENT);
            client.setData("/p", bytes("later"), -1);
        }
        Runtime.getRuntime().halt(0); // The session stays open.
    }

    static void first(ZooKeeper client, String server) throws Exception {
        client.create("/p", bytes("data"), OPEN, CreateMode.PERSISTENT);
        client.create("/p/seq-", bytes("s"), OPEN, CreateMode.PERSISTENT_SEQUENTIAL);
        client.create("/null", null, OPEN, CreateMode.PERSISTENT);
        client.create("/empty", new byte[0], OPEN, CreateMode.PERSISTENT);
        client.create("/gr\u00fc\u00dfe", bytes("\u00fc"), OPEN, CreateMode.PERSISTENT, new Stat());
        client.create("/c", bytes("container"), OPEN, CreateMode.CONTAINER, new Stat());
        client.create("/kept", bytes("container"), OPEN, CreateMode.CONTAINER, new Stat());
        client.create("/kept/child", bytes(""), OPEN, CreateMode.PERSISTENT);
        client.create("/c/child", bytes(""), OPEN, CreateMode.PERSISTENT);
        client.delete("/c/child", -1);
        client.create("/ttl", bytes("t"), OPEN, CreateMode.PERSISTENT_WITH_TTL, new Stat(), 3600000L);
        client.create("/e", bytes("ephemeral"), OPEN, CreateMode.EPHEMERAL);
        client.setData("/p", bytes("data2"), 0);
        client.setData("/p", bytes("data3"), 1);
        Id bob = new Id("digest", DigestAuthenticationProvider.generateDigest("bob:pw"));
        List<ACL> closed = Arrays.asList(new ACL(31, bob), new ACL(1, ZooDefs.Ids.ANYONE_ID_UNSAFE));
        client.create("/acl", bytes("x"), closed, CreateMode.PERSISTENT);
        client.create("/acl2", bytes("x"), OPEN, CreateMode.PERSISTENT);
        client.setACL("/acl2", Arrays.asList(new ACL(31, new Id("ip", "127.0.0.1/8"))), 0);
        try {
            client.create("/p", bytes(""), OPEN, CreateMode.PERSISTENT);
        } catch (KeeperException expected) {
            System.out.println(expected.getMessage());
        }
        client.multi(Arrays.asList(
            Op.check("/p", 2),
            Op.create("/m", bytes("m"), OPEN, CreateMode.PERSISTENT),
            Op.setData("/m", bytes("m2"), 0),
            Op.create("/m/x", bytes(""), OPEN, CreateMode.PERSISTENT),
            Op.delete("/m/x", 0)));
        try {
            client.multi(Arrays.asList(
                Op.create("/m/y", bytes(""), OPEN, CreateMode.PERSISTENT),
                Op.check("/p", 99),
                Op.delete("/m", -1)));
        } catch (KeeperException expected) {
            System.out.println(expected.getMessage());
        }
        ZooKeeper owner = open(server);
        owner.create("/y1", bytes(""), OPEN, CreateMode.EPHEMERAL);
        owner.create("/y2", bytes(""), OPEN, CreateMode.EPHEMERAL_SEQUENTIAL);
        owner.close();
        open(server).close();
        client.create("/gone", bytes("x"), OPEN, CreateMode.PERSISTENT);
        client.delete("/gone", 0);
        while (client.exists("/c", false) != null) { // The server deletes empty containers by itself.
            Thread.sleep(50);
        }
    }
}
