package peer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Options of the form {@code --name value}; a name may be given more than once. Unread ones are an error. */
final class Args {
    /** The command line is wrong; exit code 2. */
    static final class Usage extends RuntimeException {
        Usage(String message) {
            super(message);
        }
    }

    private final Map<String, List<String>> given = new LinkedHashMap<>();

    Args(String[] argv) {
        for (int i = 0; i < argv.length; i += 2) {
            if (!argv[i].startsWith("--")) {
                throw new Usage("expected an option, found '" + argv[i] + "'");
            }
            if (i + 1 == argv.length) {
                throw new Usage(argv[i] + " needs a value");
            }
            given.computeIfAbsent(argv[i].substring(2), name -> new ArrayList<>()).add(argv[i + 1]);
        }
    }

    /** All values of an option, in order; empty when it was not given. */
    List<String> all(String name) {
        List<String> values = given.remove(name);
        return values == null ? List.of() : values;
    }

    String get(String name, String fallback) {
        List<String> values = all(name);
        if (values.size() > 1) {
            throw new Usage("--" + name + " was given " + values.size() + " times");
        }
        return values.isEmpty() ? fallback : values.get(0);
    }

    String need(String name) {
        String value = get(name, null);
        if (value == null) {
            throw new Usage("--" + name + " is missing");
        }
        return value;
    }

    List<String> needAll(String name) {
        List<String> values = all(name);
        if (values.isEmpty()) {
            throw new Usage("--" + name + " is missing");
        }
        return values;
    }

    long number(String name, Long fallback) {
        String text = fallback == null ? need(name) : get(name, fallback.toString());
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new Usage("--" + name + " takes a whole number, not '" + text + "'");
        }
    }

    double decimal(String name) {
        String text = need(name);
        try {
            return Double.parseDouble(text);
        } catch (NumberFormatException e) {
            throw new Usage("--" + name + " takes a number, not '" + text + "'");
        }
    }

    /** To be called when all options were read, before anything is done. */
    void done() {
        if (!given.isEmpty()) {
            throw new Usage("unknown option --" + given.keySet().iterator().next());
        }
    }
}
