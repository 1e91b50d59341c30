using System.Diagnostics.Metrics;
using FsCheck;
using FsCheck.Fluent;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Stores.Memory;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;
using static Miroir.Stores.Tests.NodeCalls;

namespace Miroir.Stores.Tests;

/// <summary>What of a change log is SQLite's alone, and what goes by time.</summary>
public sealed class SqliteChangeLogTests
{
    private TemporaryFolder _folder = null!;

    [SetUp]
    public void Create() => _folder = new TemporaryFolder();

    [TearDown]
    public void Delete() => _folder.Dispose();

    [Test]
    public async Task AFileOfFormatTwoBeginsItsLogAtItsHighestVersion()
    {
        await using (var store = Open())
        {
            await store.MakeShard(0);
            await store.PutAll(0, 1, Live("a", 3, "{}"), Live("b", 7, "{}"), Live("a", 5, "{}"));
        }

        using (var file = Database.Open(_folder.File("shards/movies/1-0.db"), new()))
            file.Execute($"{ChangeLogs.Gone}; UPDATE meta SET value = '2' WHERE name = 'format'");
        await using var upgraded = Open();
        var log = await upgraded.WholeLog(0, 1);
        Assert.That((log.Floor, log.Changes.Length), Is.EqualTo((new DocumentVersion(1, 7), 0)));
        await upgraded.PutAll(0, 1, Live("a", 6, "{}"), Live("a", 8, "{}"));
        Assert.That(await Positions(upgraded), Is.EqualTo(new[] { 8 }), "what was below the floor stays below it");
    }

    [Test]
    public async Task AFileOfFormatThreeKeepsItsLogAndItsFloor()
    {
        await using (var store = Open())
        {
            await store.MakeShard(0);
            await store.PutAll(0, 1, Live("a", 3, "{}"), Live("b", 7, "{}"));
            var floor = new LogChangesCommand(Stamp(0, 1), Shard(0), [], new DocumentVersion(1, 3), HashRange.Full);
            Assert.That((await store.LogChanges(floor, default)).IsLogged);
        }

        using (var file = Database.Open(_folder.File("shards/movies/1-0.db"), new()))
            file.Execute("DROP TABLE feed_floors; UPDATE meta SET value = '3' WHERE name = 'format'");
        await using var upgraded = Open();
        Assert.That((await upgraded.WholeLog(0, 1)).Floor, Is.EqualTo(new DocumentVersion(1, 3)));
        Assert.That(await Positions(upgraded), Is.EqualTo(new[] { 7 }));
    }

    [Test]
    public async Task TheFloorOfAPartOutlivesARestart()
    {
        var (low, high) = (new HashRange(0, 1UL << 63), new HashRange(1UL << 63, 0));
        await using (var store = Open())
        {
            await store.MakeShard(0);
            await store.PutAll(0, 1, Enumerable.Range(0, 40).Select(i => Live($"{i}", 1 + i, "{}")));
            var floor = new LogChangesCommand(Stamp(0, 1), Shard(0), [], new DocumentVersion(5, 9), high);
            Assert.That((await store.LogChanges(floor, default)).IsLogged);
        }

        await using var again = Open();
        Assert.That(await FloorOf(low), Is.EqualTo(DocumentVersion.Zero));
        Assert.That(await FloorOf(high), Is.EqualTo(new DocumentVersion(5, 9)));
        Assert.That(await FloorOf(HashRange.Full), Is.EqualTo(new DocumentVersion(5, 9)));

        async Task<DocumentVersion> FloorOf(HashRange range)
        {
            var command = new ChangesCommand(
                Stamp(0, 1),
                Shard(0),
                range,
                DocumentVersion.Zero,
                DocumentVersion.Highest,
                100
            );
            var page = ((ChangesReply.Changes)await again.Changes(command, default)).Item;
            Assert.That(page.Changes.Length, range.Equals(low) ? Is.GreaterThan(5) : Is.Zero);
            return page.Floor;
        }
    }

    [Test]
    public async Task AnUpgradedLogBeginsAboveWhatWasPurged()
    {
        await using (var store = Open())
        {
            var incarnation = await store.MakeShard(0);
            await store.PutAll(0, 1, Live("a", 3, "{}"));
            var purge = new PurgeCommand(Stamp(0, 1), Shard(0), incarnation, new DocumentVersion(1, 9));
            Assert.That((await store.Purge(purge, default)).IsPurged);
        }

        using (var file = Database.Open(_folder.File("shards/movies/1-0.db"), new()))
            file.Execute($"{ChangeLogs.Gone}; UPDATE meta SET value = '2' WHERE name = 'format'");
        await using var upgraded = Open();
        Assert.That((await upgraded.WholeLog(0, 1)).Floor, Is.EqualTo(new DocumentVersion(1, 9)));
    }

    /// <summary>A floor far above leaves many rows: they count for nothing at once, and go with the commits that follow.</summary>
    [Test]
    public async Task WhatAGivenFloorIsAboveGoesABatchAtATime()
    {
        await using (var store = Open())
        {
            await store.MakeShard(0);
            for (var at = 1; at <= 1000; at += 500)
                await store.PutAll(0, 1, Enumerable.Range(at, 500).Select(clock => Live("a", clock, "{}")));
            var floor = new LogChangesCommand(Stamp(0, 1), Shard(0), [], new DocumentVersion(1, 990), HashRange.Full);
            Assert.That((await store.LogChanges(floor, default)).IsLogged);
            Assert.That(await Positions(store), Is.EqualTo(Enumerable.Range(991, 10)));
            for (var clock = 1001; clock <= 1005; clock++)
                await store.PutAll(0, 1, Live("a", clock, "{}"));
            Assert.That(await Positions(store), Is.EqualTo(Enumerable.Range(991, 15)));
        }

        using var file = Database.Open(_folder.File("shards/movies/1-0.db"), new());
        Assert.That(file.QueryInt64("SELECT count(*) FROM changes"), Is.EqualTo(15));
        Assert.That(file.QueryInt64("SELECT changes FROM counters"), Is.EqualTo(15));
    }

    /// <summary>Nothing young enough goes; what is too old goes with a later put; both stores do the same.</summary>
    [FsCheck.NUnit.Property(MaxTest = 30)]
    public Property ChangesAreKeptForTheirTime() =>
        Prop.ForAll(
            Gen.Choose(0, 400).ArrayOf().Where(steps => steps.Length > 0).ToArbitrary(),
            steps => KeepForTheirTime(steps).GetAwaiter().GetResult()
        );

    private static async Task KeepForTheirTime(int[] stepsMs)
    {
        const int KeptMs = 1000;
        using var folder = new TemporaryFolder();
        var clock = new SetClock();
        var retention = new ChangeRetention { Time = TimeSpan.FromMilliseconds(KeptMs), Clock = clock };
        await using var sqlite = SqliteNodeStore.Open(folder.Path, new() { Changes = retention });
        await using var memory = new MemoryNodeStore(new SeededEntropy(1), null, retention);
        INodeStore[] stores = [sqlite, memory];
        foreach (var store in stores)
            await store.MakeShard(0);
        var times = new List<long>();
        var counter = 0;
        foreach (var step in stepsMs)
        {
            clock.Now += TimeSpan.FromMilliseconds(step);
            var now = clock.Now.ToUnixTimeMilliseconds();
            times.Add(HybridClock.ofUnixMs(now) + ++counter);
            var kept = times.Where(time => HybridClock.unixMs(time) >= now - KeptMs).ToArray();
            foreach (var store in stores)
            {
                await store.PutAll(0, 1, Live("a", times[^1], "{}"));
                var log = await store.WholeLog(0, 1);
                Assert.That(log.Changes.Select(change => change.Position.Clock), Is.EqualTo(kept));
                var gone = times.Count > kept.Length ? times[^(kept.Length + 1)] : 0;
                Assert.That(log.Floor.Clock, Is.EqualTo(gone));
            }
        }
    }

    [Test]
    public async Task PutsThatLogNothingAreCountedByOrigin()
    {
        var counted = new Dictionary<string, long>();
        await using var store = Open();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (ReferenceEquals(instrument.Meter.Scope, store.Metrics))
                listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>(
            (instrument, value, tags, _) =>
            {
                Assert.That(instrument.Name, Is.EqualTo("miroir_feed_left_out_total"));
                lock (counted)
                    counted[$"{tags[0].Value}"] = counted.GetValueOrDefault($"{tags[0].Value}") + value;
            }
        );
        listener.Start();
        await store.MakeShard(0);
        await store.PutAll(0, 1, Of(Origin.Client, 1), Of(Origin.Migration, 2), Of(Origin.ReadRepair, 1));
        await store.PutAll(0, 1, Of(Origin.AntiEntropy, 3), Of(Origin.AntiEntropy, 3), Of(Origin.Migration, 3));
        Assert.That(await Positions(store), Is.EqualTo(new[] { 1, 3 }));
        Assert.That(
            counted,
            Is.EquivalentTo(
                new Dictionary<string, long>
                {
                    ["migration"] = 2,
                    ["read_repair"] = 1,
                    ["anti_entropy"] = 1,
                }
            )
        );
    }

    private SqliteNodeStore Open() => SqliteNodeStore.Open(_folder.Path, new() { Changes = ChangeRetention.Unlimited });

    private static async Task<IEnumerable<int>> Positions(INodeStore store) =>
        (await store.WholeLog(0, 1)).Changes.Select(change => (int)change.Position.Clock);

    private static Document Of(Origin origin, long clock) =>
        Document.Live(Key.Of("a"), new DocumentVersion(1, clock), "{}"u8.ToArray(), Guid.Empty, origin);

    private sealed class SetClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch.AddDays(1);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
