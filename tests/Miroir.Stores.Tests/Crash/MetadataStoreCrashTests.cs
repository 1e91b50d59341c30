using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;

namespace Miroir.Stores.Tests.Crash;

/// <summary>As <see cref="NodeStoreCrashTests"/>, for the metadata.</summary>
[Platform("Linux", Reason = "What a directory's sync promises differs elsewhere.")]
public sealed class MetadataStoreCrashTests
{
    [TestCaseSource(typeof(CrashSettings), nameof(CrashSettings.Seeds))]
    public async Task NoAcknowledgedCommitIsLostAndNoneIsHalfThere(int seed)
    {
        var events = await Record(seed, Synchronous.Full);
        Assert.That(FirstWrong(events, 0, CrashSettings.Samples, seed), Is.Null, $"seed {seed}");
    }

    [TestCaseSource(typeof(CrashSettings), nameof(CrashSettings.Seeds))]
    public async Task APowerCutAfterAKillTakesNothingThatWasRead(int seed)
    {
        var events = await Record(seed, Synchronous.Full);
        var random = new Random(seed);
        for (var kill = 0; kill < 2 * CrashSettings.Restarts; kill++)
        {
            var before = events[..PowerCuts.KillPoint(events, random)];
            using var folder = new TemporaryFolder();
            new DiskImage(before, Loss.Nothing).WriteTo(folder.Path);
            using var log = new DiskLog(folder.Path, before);
            await new MetadataScript(log, seed).Look();
            var wrong = FirstWrong(log.Events, before.Length, CrashSettings.Samples / 10, seed + kill);
            Assert.That(wrong, Is.Null, $"seed {seed}");
        }
    }

    [Test]
    public async Task TheSuiteFindsAnUnsyncedStore() =>
        Assert.That(FirstWrong(await Record(1, Synchronous.Normal), 0, 0, 1), Does.Contain("lost"));

    private static async Task<DiskEvent[]> Record(int seed, Synchronous synchronous)
    {
        using var folder = new TemporaryFolder();
        using var log = new DiskLog(folder.Path);
        await new MetadataScript(log, seed).Run(10, synchronous);
        return log.Events;
    }

    private static string? FirstWrong(DiskEvent[] events, int first, int samples, int seed)
    {
        var cuts = PowerCuts.Of(events, first, samples, seed);
        var wrong = PowerCuts.FirstWrong(events, cuts, (image, steps) => MetadataCheck.WrongIn(image, events, steps));
        TestContext.Out.WriteLine($"{cuts.Count} images of {events.Length - first} steps were opened and compared");
        return wrong;
    }
}
