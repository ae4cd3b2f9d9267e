package peer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.util.List;
import org.HdrHistogram.EncodableHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;

/**
 * hlog: percentiles of one tag of an interval log, read by HdrHistogram's own Java library (which Kafka brings along).
 */
final class Hlog {
    private static final List<String> NAMES = List.of("p50_ns", "p90_ns", "p99_ns", "p999_ns");
    private static final double[] PERCENTILES = {50, 90, 99, 99.9};

    private Hlog() {}

    static int run(Args args) throws Exception {
        List<String> files = args.all("file");
        String tag = args.need("tag");
        long from = args.number("from", 0L);
        args.done();
        Histogram all = new Histogram(1, 3_600_000_000_000L, 3);
        long intervals = 0;
        for (String file : files) {
            try (HistogramLogReader reader = new HistogramLogReader(new File(file))) {
                EncodableHistogram next;
                while ((next = reader.nextIntervalHistogram()) != null) {
                    long second = Math.round(next.getStartTimeStamp() / 1e3 - reader.getStartTimeSec());
                    if (tag.equals(next.getTag()) && second >= from) {
                        all.add((Histogram) next);
                        intervals++;
                    }
                }
            }
        }
        ObjectNode found = Clients.JSON.createObjectNode().put("intervals", intervals).put("count", all.getTotalCount());
        for (int i = 0; i < PERCENTILES.length; i++) {
            found.put(NAMES.get(i), all.getValueAtPercentile(PERCENTILES[i]));
        }
        Clients.print(found.put("max_ns", all.getMaxValue()));
        return 0;
    }
}
