import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Scanner;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.zip.CRC32;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.data.StatPersisted;
import org.apache.zookeeper.server.DataNode;
import org.apache.zookeeper.server.DataTree;
import org.apache.zookeeper.server.SnapshotFormatter;
import org.apache.zookeeper.server.ZKDatabase;
import org.apache.zookeeper.server.persistence.FileTxnSnapLog;
import org.apache.zookeeper.server.persistence.TxnLogToolkit;

/**
 * Loads data directories as the Java server does when it starts, and prints all that is in them, sorted:
 * {@code java Dump OUTPUT-FILE DATA-DIR[:LOG-DIR] ...}. Java's own tools read every file of the directory as well.
 *
 * <p>Loading may change a directory: give it a copy. What differs between two directories differs here, and nothing
 * else does: no file names, no order of hash maps, no keys of ACL tables.
 */
public final class Dump {
    private static PrintStream out;

    private Dump() {
    }

    public static void main(String[] arguments) throws Exception {
        out = new PrintStream(new BufferedOutputStream(new FileOutputStream(arguments[0])), false, StandardCharsets.UTF_8);
        for (String directory : Arrays.asList(arguments).subList(1, arguments.length)) {
            out.println("### " + directory);
            String[] parts = directory.split(":");
            File data = new File(parts[0]);
            File log = new File(parts[parts.length - 1]);
            try {
                // Loading may remove what it has no use for, so the files are read first.
                readFiles(new File(data, "version-2"), new File(log, "version-2"));
                load(data, log);
            } catch (Exception error) {
                print("refused", error.toString());
            }
        }
        out.close();
        System.exit(0);
    }

    private static void print(Object... fields) {
        List<String> texts = new ArrayList<>();
        for (Object field : fields) {
            texts.add(String.valueOf(field));
        }
        out.println(String.join("\t", texts));
    }

    private static void load(File data, File log) throws Exception {
        FileTxnSnapLog files = new FileTxnSnapLog(log, data);
        ZKDatabase database = new ZKDatabase(files);
        DataTree tree = database.getDataTree();
        tree.addDigestWatcher(zxid -> print("mismatch", hex(zxid)));
        database.loadDataBase();
        print("zxid", hex(tree.lastProcessedZxid));
        for (Map.Entry<Long, Integer> session : new TreeMap<>(database.getSessionWithTimeOuts()).entrySet()) {
            print("session", hex(session.getKey()), session.getValue());
        }
        for (Long session : new TreeSet<>(tree.getSessions())) {
            for (String path : new TreeSet<>(tree.getEphemerals(session))) {
                print("ephemeral", hex(session), path);
            }
        }
        new TreeSet<>(tree.getContainers()).forEach(path -> print("container", path));
        new TreeSet<>(tree.getTtls()).forEach(path -> print("ttl", path));
        print("digest", hex(tree.getTreeDigest()), hex(nodes(tree, "")));
        files.close();
    }

    /** Prints a node and all below it; returns the sum of their digests, computed here from what is printed. */
    private static long nodes(DataTree tree, String path) {
        DataNode node = tree.getNode(path);
        List<String> children;
        synchronized (node) {
            printNode(tree, path, node);
            children = new ArrayList<>(node.getChildren());
        }
        Collections.sort(children);
        long digest = path.startsWith("/zookeeper/") ? 0 : digest(path, node.getData(), node.stat);
        for (String child : children) {
            digest += nodes(tree, path + "/" + child);
        }
        return digest;
    }

    /** First the node as a client sees it, then what is stored and not shown. */
    private static void printNode(DataTree tree, String path, DataNode node) {
        Stat stat = new Stat();
        node.copyStat(stat);
        String shown = path.isEmpty() ? "/" : path;
        print("node", shown, hex(node.getData()), acl(tree.getACL(node)), hex(stat.getCzxid()), hex(stat.getMzxid()),
            stat.getCtime(), stat.getMtime(), stat.getVersion(), stat.getCversion(), stat.getAversion(),
            hex(stat.getEphemeralOwner()), stat.getDataLength(), stat.getNumChildren(), hex(stat.getPzxid()));
        print("stored", shown, node.stat.getCversion(), hex(node.stat.getEphemeralOwner()));
    }

    private static String acl(List<ACL> acl) {
        List<String> texts = new ArrayList<>();
        for (ACL entry : acl) {
            texts.add(entry.getPerms() + ":" + entry.getId().getScheme() + ":" + entry.getId().getId());
        }
        return String.join(",", texts);
    }

    private static long digest(String path, byte[] data, StatPersisted stat) {
        CRC32 crc = new CRC32();
        crc.update(path.getBytes(StandardCharsets.UTF_8));
        if (data != null) {
            crc.update(data);
        }
        ByteBuffer numbers = ByteBuffer.allocate(60);
        numbers.putLong(stat.getCzxid()).putLong(stat.getMzxid()).putLong(stat.getPzxid());
        numbers.putLong(stat.getCtime()).putLong(stat.getMtime());
        numbers.putInt(stat.getVersion()).putInt(stat.getCversion()).putInt(stat.getAversion());
        numbers.putLong(stat.getEphemeralOwner());
        crc.update(numbers.array());
        return crc.getValue();
    }

    private static String hex(long number) {
        return "0x" + Long.toHexString(number);
    }

    private static String hex(byte[] data) {
        if (data == null) {
            return "null";
        }
        StringBuilder text = new StringBuilder("'");
        for (byte b : data) {
            text.append(Character.forDigit(b >> 4 & 15, 16)).append(Character.forDigit(b & 15, 16));
        }
        return text.toString();
    }

    private static void readFiles(File snapshots, File logs) {
        for (File file : list(snapshots, "snapshot.")) {
            // A snapshot that a Java server was killed over; it takes no notice of it when it starts.
            if (file.length() < 10) {
                print("file", file.getName(), "too short");
                continue;
            }
            print("file", file.getName(), tool(() -> new SnapshotFormatter().run(file.getPath(), true, false)));
        }
        for (File file : list(logs, "log.")) {
            print("file", file.getName(), tool(() -> {
                try (TxnLogToolkit toolkit = new TxnLogToolkit(false, true, file.getPath(), false)) {
                    toolkit.dump(new Scanner(""));
                }
            }));
        }
    }

    private static List<File> list(File folder, String prefix) {
        File[] found = folder.listFiles((parent, name) -> name.startsWith(prefix));
        List<File> files = new ArrayList<>(found == null ? List.of() : Arrays.asList(found));
        files.sort(null);
        return files;
    }

    /** A tool of Java's, run with its output caught. */
    private interface Tool {
        void run() throws Exception;
    }

    /** What one of Java's tools says about a file: "read", with the last line, or what is wrong. */
    private static String tool(Tool tool) {
        PrintStream before = System.out;
        ByteArrayOutputStream caught = new ByteArrayOutputStream();
        System.setOut(new PrintStream(caught, true, StandardCharsets.UTF_8));
        try {
            tool.run();
        } catch (Exception error) {
            return "wrong: " + error;
        } finally {
            System.setOut(before);
        }
        String text = caught.toString(StandardCharsets.UTF_8);
        if (text.contains("CRC ERROR")) {
            return "wrong: CRC ERROR";
        }
        return "read";
    }
}
