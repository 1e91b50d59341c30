using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Nodes;
using NUnit.Framework;

namespace Miroir.Simulation.Nodes;

public sealed class CopyPositionTests
{
    private const int Documents = 100;

    /// <summary>A copy that is gone on with behind its position must not leave out what was never put.</summary>
    [Test]
    public async Task ThePositionToldIsNeverAheadOfWhatIsPut()
    {
        var group = new NodeGroup(1);
        await NodeGroup.Put(
            group.Stores[0],
            NodeGroup.SourceShard,
            Enumerable.Range(0, Documents).Select(i => NodeGroup.DocumentOf(i, i % 20))
        );
        var tally = new ReconcileTally(null);
        Key? put = null;
        var seen = 0;
        void Compare()
        {
            if (tally.Latest.Position is { } told)
            {
                seen++;
                Assert.That(put is not null && told.CompareTo(put) <= 0, "a position was told before its data was put");
            }
        }
        var store = new WatchedStore(
            group.TargetStore,
            Compare,
            (commands, replies) =>
            {
                Assert.That(replies, Has.All.Matches<PutReply>(reply => reply is PutReply.Applied));
                put = commands[^1].Document.Key;
            }
        );
        var command = group.Copy();
        var options = new NodeOptions("t", "test") { PageEntries = 7 };
        var patience = new Patience(options, TimeProvider.System, new SeededEntropy(1));
        var target = new ReconcileTarget(
            store,
            command,
            options,
            patience,
            new TokenBucket(0, 1, TimeProvider.System),
            CancellationToken.None
        );
        var sources = new ReconcileSources(
            command,
            [group.Get("s0", "")],
            "t",
            options,
            patience,
            CancellationToken.None
        );
        await CopyPass.Run(command, sources, target, tally, options);
        Compare();
        Assert.That(seen, Is.GreaterThan(5), "positions are told while it copies");
        Assert.That(
            await NodeGroup.Everything(group.TargetStore, NodeGroup.TargetShard),
            Has.Length.EqualTo(Documents)
        );
    }
}
