using FsCheck;
using FsCheck.Fluent;
using Miroir.Core;
using Miroir.Ports;
using NUnit.Framework;

namespace Miroir.Simulation.Nodes;

/// <summary>Several ranges of one store in one stream: what scans of each give, one behind the other.</summary>
public sealed class RangePagesTests
{
    private static readonly RouteStamp Stamp = new(NodeGroup.SourceShard, 1);

    private static readonly NodeGroup Filled = Fill();

    private static readonly Document[] All = NodeGroup
        .Everything(Filled.Stores[0], NodeGroup.SourceShard)
        .GetAwaiter()
        .GetResult();

    /// <summary>Ordered ranges that share nothing, often of one hash, at or beside a key's, at either end of the hash space.</summary>
    private static readonly Gen<HashRange[]> Ranges = (
        from at in Gen.Choose(0, All.Length - 1)
        from beside in Gen.Choose(-1, 1)
        from extreme in Gen.Frequency((8, Gen.Constant(0)), (1, Gen.Constant(1)), (1, Gen.Constant(2)))
        select extreme switch
        {
            1 => 0UL,
            2 => ulong.MaxValue,
            _ => All[at].Key.Hash + (ulong)beside,
        }
    )
        .ArrayOf()
        .Resize(24)
        .Select(bounds =>
        {
            var ordered = bounds.Distinct().Order().ToArray();
            var ranges = new List<HashRange>();
            for (var i = 0; i < ordered.Length; i++)
            {
                if (i % 3 == 0 || i + 1 == ordered.Length)
                    ranges.Add(new HashRange(ordered[i], ordered[i] + 1));
                else
                    ranges.Add(new HashRange(ordered[i], ordered[++i]));
            }

            return ranges.ToArray();
        });

    [Test]
    public void TheyAreTheScansOfEachRange() =>
        Check.One(
            FsCheck.Config.QuickThrowOnFailure.WithMaxTest(200),
            Prop.ForAll(
                Arb.From(from ranges in Ranges from size in Gen.Choose(1, 12) select (ranges, size)),
                asked =>
                {
                    var command = new RangesCommand(Stamp, NodeGroup.SourceShard, asked.ranges, null, asked.size);
                    var expected = asked.ranges.SelectMany(range =>
                        All.Where(document => range.Contains(document.Key))
                    );
                    var pages = Read(command).Result;
                    var keys = pages.SelectMany(page => page.Entries).Select(entry => entry.Key).ToArray();
                    Assert.That(keys, Is.EqualTo(expected.Select(document => document.Key)));
                    Assert.That(pages.Select(page => page.Entries.Length), Is.All.AtMost(asked.size));
                    Assert.That(pages[..^1].Select(page => page.Entries.Length), Is.All.EqualTo(asked.size));
                    // Broken off behind any page, it goes on behind that page's last key.
                    for (var i = 0; i + 1 < pages.Count; i++)
                    {
                        var behind = command.Behind(pages[i].Entries[^1].Key);
                        var rest = Read(behind).Result.SelectMany(page => page.Entries).Select(entry => entry.Key);
                        Assert.That(rest, Is.EqualTo(keys[((i + 1) * asked.size)..]));
                    }
                }
            )
        );

    [Test]
    public async Task WhereNothingIsAskedForThereIsOneEmptyPage()
    {
        var command = new RangesCommand(Stamp, NodeGroup.SourceShard, [], null, 10);
        Assert.That((await Read(command)).Single().Entries, Is.Empty);
    }

    private static NodeGroup Fill()
    {
        var group = new NodeGroup(1);
        var documents = Enumerable.Range(0, 150).Select(i => NodeGroup.DocumentOf(i, i % 10));
        NodeGroup.Put(group.Stores[0], NodeGroup.SourceShard, documents).GetAwaiter().GetResult();
        return group;
    }

    /// <summary>All pages; only the last says so.</summary>
    private static async Task<List<ScanPage>> Read(RangesCommand command)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        var pages = new List<ScanPage>();
        await foreach (var reply in Filled.Get("s0", "").ScanRanges(command, limit.Token))
            pages.Add(((ScanReply.Page)reply).Item);
        Assert.That(pages[..^1].Select(page => page.IsLast), Is.All.False);
        Assert.That(pages[^1].IsLast);
        return pages;
    }
}
