import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Properties;
import java.util.Set;
import java.util.StringJoiner;
import java.util.TreeSet;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;
import org.apache.zookeeper.server.quorum.flexible.QuorumVerifier;

/**
 * Reads texts of configurations as servers read each other's, and writes them as servers do: {@code java Config}. A line
 * of input is a text in which {@code \n} ends a line. Two lines of output for each: the text that Java makes of it, in
 * the same way, or {@code refused}; and the quorums. Each of these is a number in which bit n stands for the nth voter, in
 * ascending order; none are given where there are many voters.
 */
final class Config {
    private static final int VOTERS_MAX = 6;

    private Config() {
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            QuorumVerifier verifier = read(line.replace("\\n", "\n"));
            System.out.println(verifier == null ? "refused" : verifier.toString().replace("\n", "\\n"));
            System.out.println(verifier == null ? "" : quorums(verifier));
        }
    }

    private static QuorumVerifier read(String text) throws Exception {
        Properties properties = new Properties();
        properties.load(new StringReader(text));
        try {
            return QuorumPeerConfig.parseDynamicConfig(properties, 3, false, false, null);
        } catch (QuorumPeerConfig.ConfigException | RuntimeException refusal) {
            return null;
        }
    }

    private static String quorums(QuorumVerifier verifier) {
        Long[] voters = new TreeSet<>(verifier.getVotingMembers().keySet()).toArray(new Long[0]);
        StringJoiner quorums = new StringJoiner(",");
        if (voters.length <= VOTERS_MAX) {
            for (int bits = 0; bits < 1 << voters.length; bits++) {
                Set<Long> some = new HashSet<>();
                for (int n = 0; n < voters.length; n++) {
                    if ((bits >> n & 1) == 1) {
                        some.add(voters[n]);
                    }
                }
                if (verifier.containsQuorum(some)) {
                    quorums.add(Integer.toString(bits));
                }
            }
        }
        return quorums.toString();
    }
}
