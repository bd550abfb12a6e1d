package ostler.compat;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The server that run.py started, and the launcher that can end it and bring it back.
 *
 * <p>All tests share one server. A test that restarts it therefore may not assume that others'
 * sessions see nothing of it; surefire runs one test at a time.
 */
final class ServerUnderTest {

    /** Host and port for clients. */
    static final String CONNECT = property("ostler.connect");
    /** Sessions are clamped to 2 and 20 ticks of 500 ms; see run.py. */
    static final int SESSION_MS_MIN = 1_000;

    static final int SESSION_MS_MAX = 10_000;

    private ServerUnderTest() {
    }

    static String host() {
        return CONNECT.substring(0, CONNECT.indexOf(':'));
    }

    static int port() {
        return Integer.parseInt(CONNECT.substring(CONNECT.indexOf(':') + 1));
    }

    /** Ends the server orderly and starts it on the same data. */
    static void restart() throws Exception {
        launcher("restart");
    }

    /** Ends the server by SIGKILL and starts it on the same data. */
    static void killAndRestart() throws Exception {
        launcher("restart", "--hard");
    }

    /** Ends the server orderly; {@link #restart} brings it back. */
    static void stop() throws Exception {
        launcher("stop");
    }

    private static void launcher(String... arguments) throws Exception {
        List<String> command = new ArrayList<>();
        command.add("python3");
        command.add(property("ostler.launcher"));
        command.addAll(List.of(arguments));
        command.add("--dir");
        command.add(property("ostler.directory"));
        Process process = new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(new File(property("ostler.build"), "launcher.log"))
            .start();
        if (!process.waitFor(50, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new IOException("the launcher hangs: " + command);
        }
        if (process.exitValue() != 0) {
            throw new IOException("the launcher failed, see launcher.log: " + command);
        }
    }

    private static String property(String name) {
        String value = System.getProperty(name, "");
        if (value.isEmpty()) {
            throw new IllegalStateException("run these tests by run.py: no " + name);
        }
        return value;
    }
}
