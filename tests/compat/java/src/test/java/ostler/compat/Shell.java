package ostler.compat;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.ZooKeeperMain;

/**
 * ZooKeeper's command line, inside this JVM ({@link #run}) or as a process of its own
 * ({@link #once}).
 *
 * <p>The shell's commands keep the streams that they find when their class is loaded. So streams of
 * ours that never change stand there first, and are emptied before each command.
 */
final class Shell implements AutoCloseable {

    private static final Sink OUT = new Sink();
    private static final Sink ERR = new Sink();
    private static final PrintStream OUT_STREAM = new PrintStream(OUT, true, UTF_8);
    private static final PrintStream ERR_STREAM = new PrintStream(ERR, true, UTF_8);
    private static final int WAIT_MS = 15_000;

    private final PrintStream outBefore = System.out;
    private final PrintStream errBefore = System.err;
    private final Line main;

    /** What one command printed; `code` is the exit code of a process, 0 inside this JVM. */
    record Printed(String out, String err, int code) {
    }

    Shell() throws Exception {
        System.setOut(OUT_STREAM);
        System.setErr(ERR_STREAM);
        main = new Line(ServerUnderTest.CONNECT);
    }

    /** Runs one line as if it were typed. */
    Printed run(String line) throws Exception {
        OUT.clear();
        ERR.clear();
        main.executeLine(line);
        return new Printed(OUT.text(), ERR.text(), 0);
    }

    /** Waits until what was printed on stdout since the last command began holds this text. */
    void awaitPrinted(String text) throws InterruptedException {
        long deadline = System.currentTimeMillis() + WAIT_MS;
        while (!OUT.text().contains(text)) {
            if (System.currentTimeMillis() > deadline) {
                fail("never printed: " + text + "\nbut: " + OUT.text());
            }
            Thread.sleep(10);
        }
    }

    @Override
    public void close() throws Exception {
        main.executeLine("close");
        System.setOut(outBefore);
        System.setErr(errBefore);
    }

    /** Starts a JVM for one command, as zkCli.sh does with a command on its line. */
    static Printed once(String... command) throws Exception {
        List<String> line = new ArrayList<>(List.of(
            System.getProperty("java.home") + "/bin/java", "-Xshare:auto",
            "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"),
            "-Dostler.build=" + System.getProperty("ostler.build") + "/shell",
            ZooKeeperMain.class.getName(), "-server", ServerUnderTest.CONNECT));
        line.addAll(List.of(command));
        Process process = new ProcessBuilder(line).redirectInput(
            ProcessBuilder.Redirect.from(new java.io.File("/dev/null"))).start();
        String out = new String(process.getInputStream().readAllBytes(), UTF_8);
        String err = new String(process.getErrorStream().readAllBytes(), UTF_8);
        if (!process.waitFor(30, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new IOException("the shell hangs");
        }
        return new Printed(out, err, process.exitValue());
    }

    /** The shell's main class keeps its way of connecting to subclasses. */
    private static final class Line extends ZooKeeperMain {
        Line(String connect) throws Exception {
            super(new String[] {"-server", connect, "-waitforconnection"});
        }
    }

    /** Collects what is printed until it is cleared. */
    private static final class Sink extends OutputStream {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        @Override
        public synchronized void write(int octet) {
            bytes.write(octet);
        }

        @Override
        public synchronized void write(byte[] data, int from, int length) {
            bytes.write(data, from, length);
        }

        synchronized void clear() {
            bytes.reset();
        }

        synchronized String text() {
            return bytes.toString(UTF_8);
        }
    }
}
