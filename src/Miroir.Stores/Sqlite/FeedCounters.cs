using System.Diagnostics.Metrics;
using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>What a node's stores count of the change feed. The meter's scope is this.</summary>
internal sealed class FeedCounters
{
    private readonly Counter<long> _leftOut;

    public FeedCounters()
    {
        var meter = new Meter(new MeterOptions("Miroir.Stores") { Scope = this });
        _leftOut = meter.CreateCounter<long>(
            "miroir_feed_left_out_total",
            null,
            "Puts that were taken and logged no change: copies, and what the log had already."
        );
    }

    /// <summary>Puts of one origin, on the disk.</summary>
    public void LeftOut(Origin origin, long puts) =>
        _leftOut.Add(puts, new KeyValuePair<string, object?>("origin", NameOf(origin)));

    private static string NameOf(Origin origin) =>
        origin switch
        {
            Origin.Client => "client",
            Origin.Migration => "migration",
            Origin.ReadRepair => "read_repair",
            _ => "anti_entropy",
        };
}
