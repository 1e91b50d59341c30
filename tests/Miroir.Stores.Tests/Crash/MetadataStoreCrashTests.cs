using Miroir.Stores.Sqlite.Native;
using NUnit.Framework;

namespace Miroir.Stores.Tests.Crash;

/// <summary>As <see cref="NodeStoreCrashTests"/>, for the metadata.</summary>
[Platform("Linux", Reason = "What a directory's sync promises differs elsewhere.")]
public sealed class MetadataStoreCrashTests
{
    [TestCaseSource(typeof(CrashSettings), nameof(CrashSettings.Seeds))]
    public async Task NoAcknowledgedCommitIsLostAndNoneIsHalfThere(int seed) =>
        Assert.That(await FirstWrong(seed, Synchronous.Full, CrashSettings.Samples), Is.Null, $"seed {seed}");

    [Test]
    public async Task TheSuiteFindsAnUnsyncedStore() =>
        Assert.That(await FirstWrong(1, Synchronous.Normal, 0), Does.Contain("lost"));

    private static async Task<string?> FirstWrong(int seed, Synchronous synchronous, int samples)
    {
        using var folder = new TemporaryFolder();
        using var log = new DiskLog(folder.Path);
        await new MetadataScript(log, seed).Run(10, synchronous);
        var events = log.Events;
        var cuts = PowerCuts.Of(events, 0, samples, seed);
        var wrong = PowerCuts.FirstWrong(events, cuts, (image, steps) => MetadataCheck.WrongIn(image, events, steps));
        TestContext.Out.WriteLine($"{cuts.Count} images of {events.Length} steps were opened and compared");
        return wrong;
    }
}
