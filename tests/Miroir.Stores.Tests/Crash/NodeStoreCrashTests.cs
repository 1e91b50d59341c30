using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;

namespace Miroir.Stores.Tests.Crash;

/// <summary>
/// The power is cut behind every step of a script that is made durable, and behind others; <see cref="CrashSettings"/> says
/// how many.
/// </summary>
[Platform("Linux", Reason = "What a directory's sync promises differs elsewhere.")]
public sealed class NodeStoreCrashTests
{
    [TestCaseSource(typeof(CrashSettings), nameof(CrashSettings.Seeds))]
    public async Task NothingAcknowledgedIsLostAndNothingIsHalfThere(int seed)
    {
        var events = await Record(seed, 18);
        Try(events, 0, CrashSettings.Samples, seed);
    }

    /// <summary>A killed process leaves what is not synced in the system's memory, where the next one finds it.</summary>
    [TestCaseSource(typeof(CrashSettings), nameof(CrashSettings.Seeds))]
    public async Task APowerCutAfterAKillTakesNothingThatWasAnswered(int seed)
    {
        var events = await Record(seed, 12);
        var random = new Random(seed);
        var directories = Enumerable.Range(1, events.Length).Where(i => events[i - 1] is DiskEvent.MakeDirectory);
        var chosen = Enumerable.Range(0, CrashSettings.Restarts).Select(_ => PowerCuts.KillPoint(events, random));
        foreach (var kill in directories.Concat(chosen).ToArray())
        {
            var before = events[..kill];
            var after = await Resume(before, new DiskImage(before, Loss.Nothing), seed + kill);
            Try(after, kill, CrashSettings.Samples / 10, seed + kill);
        }
    }

    [TestCaseSource(typeof(CrashSettings), nameof(CrashSettings.Seeds))]
    public async Task ASecondPowerCutDuringTheRecoveryFromTheFirstTakesNothing(int seed)
    {
        var events = await Record(seed, 12);
        var random = new Random(~seed);
        for (var cut = 0; cut < CrashSettings.Restarts; cut++)
        {
            var steps = random.Next(events.Length);
            var image = new DiskImage(events.AsSpan(0, steps), new Loss(0.5, 0.3, random.Next()));
            DiskEvent[] before = [.. events[..steps].OfType<DiskEvent.Note>(), .. image.AsEvents()];
            var after = await Resume(before, image, seed + cut);
            Try(after, before.Length, CrashSettings.Samples / 10, seed + cut);
        }
    }

    [Test]
    public async Task TheSuiteFindsAnUnsyncedStore()
    {
        var events = await Record(1, 12, Synchronous.Normal);
        Assert.That(
            FirstWrong(events, 0, 0, 1),
            Does.Contain("was acknowledged").Or.Contain("lost").Or.Contain("the node was")
        );
    }

    [Test]
    public async Task TheSuiteFindsNamesThatAreNotSynced()
    {
        var events = await Record(1, 6, Synchronous.Full, skipsNameSyncs: true);
        Assert.That(FirstWrong(events, 0, 0, 1), Does.Contain("its store is Quarantined"));
    }

    /// <summary>A disk that says that it synced, and did not.</summary>
    [Test]
    public async Task TheSuiteFindsASyncThatDidNothing()
    {
        var events = await Record(1, 12);
        var lying = events.Where(step => step is not DiskEvent.Sync).ToArray();
        Assert.That(FirstWrong(lying, 0, 0, 1), Is.Not.Null);
    }

    private static async Task<DiskEvent[]> Record(
        int seed,
        int rounds,
        Synchronous synchronous = Synchronous.Full,
        bool skipsNameSyncs = false
    )
    {
        using var folder = new TemporaryFolder();
        using var log = new DiskLog(folder.Path) { SkipsNameSyncs = skipsNameSyncs };
        await new NodeScript(log, seed, synchronous).Run(rounds);
        return log.Events;
    }

    /// <summary>Goes on where others were cut off, in the folder as they left it.</summary>
    private static async Task<DiskEvent[]> Resume(DiskEvent[] before, DiskImage image, int seed)
    {
        using var folder = new TemporaryFolder();
        image.WriteTo(folder.Path);
        using var log = new DiskLog(folder.Path, before);
        await new NodeScript(log, seed).Run(1);
        return log.Events;
    }

    private static void Try(DiskEvent[] events, int first, int samples, int seed)
    {
        var wrong = FirstWrong(events, first, samples, seed);
        Assert.That(wrong, Is.Null, $"seed {seed}: {wrong}");
    }

    private static string? FirstWrong(DiskEvent[] events, int first, int samples, int seed)
    {
        var cuts = PowerCuts.Of(events, first, samples, seed);
        var neverStored = NodeExpectation.NeverStored(events);
        var wrong = PowerCuts.FirstWrong(
            events,
            cuts,
            (folder, steps) => NodeCheck.WrongIn(folder, new NodeExpectation(events.AsSpan(0, steps), neverStored))
        );
        TestContext.Out.WriteLine($"{cuts.Count} images of {events.Length - first} steps were opened and compared");
        return wrong;
    }
}
