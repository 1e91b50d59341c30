using System.Diagnostics.Metrics;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Server.Api;

/// <summary>What is given out of change feeds, by index.</summary>
internal sealed class FeedMetrics
{
    private readonly TimeProvider time;
    private readonly Counter<long> events;
    private readonly Gauge<double> lag;

    public FeedMetrics(TimeProvider time)
    {
        this.time = time;
        var meter = new Meter(new MeterOptions("Miroir.ChangeFeed") { Scope = this });
        events = meter.CreateCounter<long>("miroir_feed_events_total", null, "Events given to consumers.");
        lag = meter.CreateGauge<double>(
            "miroir_feed_lag_seconds",
            "s",
            "Age of the last event of the batch given last; 0 where nothing more was there."
        );
        Text = new PrometheusText(this);
    }

    /// <summary>For <c>/metrics</c>.</summary>
    public PrometheusText Text { get; }

    public void Given(string index, FeedBatch batch)
    {
        var label = new KeyValuePair<string, object?>("index", index);
        if (batch.Events.Length > 0)
            events.Add(batch.Events.Length, label);
        if (batch.IsCaughtUp)
            lag.Record(0, label);
        else if (batch.Events.Length > 0)
        {
            var writtenAtMs = HybridClock.unixMs(batch.Events[^1].Change.Position.Clock);
            lag.Record(Math.Max(0, time.GetUtcNow().ToUnixTimeMilliseconds() - writtenAtMs) / 1000.0, label);
        }
    }
}
