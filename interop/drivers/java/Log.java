import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

/**
 * Canonical text for what a client sees: what differs between two runs of a correct server is replaced by what must
 * not differ. Transaction ids are shown relative to the scenario's first one, times by the relation they must satisfy,
 * session ids by order of appearance.
 */
final class Log {
    private static final long CLOCK_SLACK_MS = 120_000;

    private final Map<Long, String> sessions = new HashMap<>();
    private final Map<Long, Long> times = new HashMap<>();
    private long base = -1;

    /** One line of the log. */
    synchronized void line(String text) {
        System.out.println(text);
    }

    /** Forgets what the scenario before has seen. */
    synchronized void start(String name) {
        sessions.clear();
        times.clear();
        base = -1;
        line("### " + name);
    }

    String session(long session) {
        if (session == 0) {
            return "0";
        }
        return sessions.computeIfAbsent(session, id -> "S" + (sessions.size() + 1));
    }

    private String zxid(long zxid) {
        if (zxid <= 0) {
            return Long.toString(zxid);
        }
        if (base < 0) {
            base = zxid;
        }
        return String.format("%+d", zxid - base);
    }

    private String moment(long zxid, long millis) {
        if (millis == 0) {
            return "0";
        }
        Long first = times.putIfAbsent(zxid, millis);
        if (first != null && first != millis) {
            return "two-times-for-one-zxid";
        }
        return Math.abs(millis - System.currentTimeMillis()) < CLOCK_SLACK_MS ? "now" : "odd";
    }

    String stat(Stat stat) {
        if (stat == null) {
            return "no-stat";
        }
        return "{c=" + zxid(stat.getCzxid()) + " m=" + zxid(stat.getMzxid()) + " p=" + zxid(stat.getPzxid())
            + " ct=" + moment(stat.getCzxid(), stat.getCtime()) + " mt=" + moment(stat.getMzxid(), stat.getMtime())
            + " v=" + stat.getVersion() + " cv=" + stat.getCversion() + " av=" + stat.getAversion()
            + " eph=" + session(stat.getEphemeralOwner()) + " len=" + stat.getDataLength()
            + " kids=" + stat.getNumChildren() + "}";
    }

    static String text(byte[] data) {
        if (data == null) {
            return "null";
        }
        if (data.length > 100) {
            return "<" + data.length + " bytes>";
        }
        return '"' + new String(data, StandardCharsets.ISO_8859_1) + '"';
    }

    static String names(List<String> names) {
        if (names == null) {
            return "null";
        }
        List<String> sorted = new ArrayList<>(names);
        Collections.sort(sorted);
        return sorted.toString();
    }

    static String acl(List<ACL> acl) {
        if (acl == null) {
            return "null";
        }
        StringBuilder text = new StringBuilder("[");
        for (ACL entry : acl) {
            text.append(text.length() > 1 ? " " : "").append(entry.getPerms()).append(':')
                .append(entry.getId().getScheme()).append(':').append(entry.getId().getId());
        }
        return text.append(']').toString();
    }

    static String code(int code) {
        return KeeperException.Code.get(code) + "(" + code + ")";
    }

    String result(OpResult result) {
        if (result instanceof OpResult.ErrorResult) {
            return "error " + ((OpResult.ErrorResult) result).getErr();
        }
        if (result instanceof OpResult.CreateResult) {
            OpResult.CreateResult create = (OpResult.CreateResult) result;
            String stat = create.getStat() == null ? "" : " " + stat(create.getStat());
            return "create " + create.getPath() + stat;
        }
        if (result instanceof OpResult.SetDataResult) {
            return "setData " + stat(((OpResult.SetDataResult) result).getStat());
        }
        if (result instanceof OpResult.GetDataResult) {
            OpResult.GetDataResult data = (OpResult.GetDataResult) result;
            return "getData " + text(data.getData()) + " " + stat(data.getStat());
        }
        if (result instanceof OpResult.GetChildrenResult) {
            return "getChildren " + names(((OpResult.GetChildrenResult) result).getChildren());
        }
        return result.getClass().getSimpleName();
    }

    String results(List<OpResult> results) {
        if (results == null) {
            return "no results";
        }
        List<String> shown = new ArrayList<>();
        for (OpResult result : results) {
            shown.add(result(result));
        }
        return "[" + String.join(" | ", shown) + "]";
    }

    static String ops(Iterable<Op> ops) {
        List<String> shown = new ArrayList<>();
        for (Op op : ops) {
            shown.add(op.getClass().getSimpleName() + " " + op.getPath());
        }
        return "[" + String.join(", ", shown) + "]";
    }
}
