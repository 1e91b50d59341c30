using System.Diagnostics;
using System.Globalization;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Chaos.Entropy;

/// <summary>While clients write: nothing that is only on its way is called different, and what does differ is, exactly.</summary>
internal sealed class UnderWrites(EntropyWorld world, EntropyDrillOptions options, DrillReport report)
{
    private const int VerifiesOfRun = 10;
    private const int PlantedOfKind = 5;

    /// <summary>So many times as many runs are made at most, where other programs keep the load from being reached.</summary>
    private const int MostTries = 2;

    /// <summary>Code that has just been started is compiled while it runs.</summary>
    private static readonly TimeSpan WarmUpLimit = TimeSpan.FromSeconds(60);

    /// <returns>A key that all replicas have.</returns>
    public async Task<string> RunAsync()
    {
        world.Workload.Start();
        await WarmUpAsync();
        var key = "";
        var loaded = 0;
        for (var run = 1; loaded < options.Runs && run <= options.Runs * MostTries; run++)
        {
            loaded += await QuietAsync(run) ? 1 : 0;
            key = await PlantedAsync(run);
        }

        await world.Workload.StopAsync();
        report.Demand(
            loaded == options.Runs,
            $"{loaded} of {options.Runs} runs reached {options.WritesPerSecond:N0} writes/s: this machine is too busy (--rate N asks for fewer)"
        );
        return key;
    }

    private async Task WarmUpAsync()
    {
        var clock = Stopwatch.StartNew();
        for (var rate = 0L; rate < options.WritesPerSecond && clock.Elapsed < WarmUpLimit; )
        {
            var before = world.Workload.AcknowledgedWrites;
            await Task.Delay(TimeSpan.FromSeconds(1));
            rate = world.Workload.AcknowledgedWrites - before;
        }
    }

    /// <returns>Whether the load was reached; else the run proves less than it is for, and another is made.</returns>
    private async Task<bool> QuietAsync(int run)
    {
        var clock = Stopwatch.StartNew();
        var before = world.Workload.AcknowledgedWrites;
        var (divergences, inFlight, hot, ms) = (0L, 0L, 0L, new List<long>());
        for (var i = 1; i <= VerifiesOfRun; i++)
        {
            var pass = await world.PassAsync("verify");
            divergences += pass.Divergences.Divergences;
            inFlight += pass.Divergences.InFlight;
            hot += pass.Divergences.Hot;
            ms.Add(pass.FinishedAtUnixMs - pass.StartedAtUnixMs);
            report.Blame(
                pass.Shards.Where(shard => shard.Problem != "")
                    .Select(shard => $"run {run}: shard {shard.Shard} was not compared: {shard.Problem}")
            );
            report.Blame(
                pass.Documents.Select(document =>
                    $"run {run}: {document.Key} {document.Kind} {document.Version}: {string.Join(", ", document.Lacking)}"
                )
            );
            var due = TimeSpan.FromSeconds((double)options.Seconds * i / VerifiesOfRun);
            if (clock.Elapsed < due)
                await Task.Delay(due - clock.Elapsed);
        }

        var rate = (world.Workload.AcknowledgedWrites - before) / clock.Elapsed.TotalSeconds;
        var isLoaded = rate >= options.WritesPerSecond;
        report.Tell(
            $"run {run}: {rate:N0} acknowledged writes/s for {clock.Elapsed.TotalSeconds:F0} s{(isLoaded ? "" : " (too few: not counted)")}, {VerifiesOfRun} verifies of {ms.Min():N0} to {ms.Max():N0} ms: {divergences} divergences ({inFlight} seen in flight, {hot} looked at once more)"
        );
        report.Demand(divergences == 0, $"run {run}: a verify called a write on its way a divergence");
        return isLoaded;
    }

    private static long WrittenAtUnixMs(DivergenceView document)
    {
        var clock = document.Version[(document.Version.IndexOf('.', StringComparison.Ordinal) + 1)..];
        return HybridClock.unixMs(long.Parse(clock, CultureInfo.InvariantCulture));
    }

    private async Task<string> PlantedAsync(int run)
    {
        List<string> expected = [];
        for (var i = 0; i < PlantedOfKind; i++)
        {
            string Key(string kind)
            {
                expected.Add($"planted-{run}-{i}-{kind} {kind}");
                return $"planted-{run}-{i}-{kind}";
            }

            await world.PlantAsync(Key("Missing"), 5, "new", "n1", "n3");
            var stale = Key("Stale");
            await world.PlantAsync(stale, 5, "old", "n1", "n2", "n3");
            await world.PlantAsync(stale, 9, "new", "n2");
            var undeleted = Key("LacksTombstone");
            await world.PlantAsync(undeleted, 5, "old", "n1", "n2", "n3");
            await world.PlantAsync(undeleted, 9, null, "n1", "n2");
            var corrupt = Key("Corrupt");
            await world.PlantAsync(corrupt, 5, "right", "n1", "n2");
            await world.PlantAsync(corrupt, 5, "wrong", "n3");
        }

        var seen = await world.PassAsync("verify");
        string[] found = [.. seen.Documents.Select(document => $"{document.Key} {document.Kind}")];
        var others = found.Except(expected).ToList();
        // It begins new terms, to purge: a write that is put meanwhile may reach two replicas and be refused by the third.
        var healing = await world.PassAsync("run");
        var late = healing.Documents.Where(document => !expected.Contains($"{document.Key} {document.Kind}")).ToList();
        var repaired = healing.Documents.Count(document => document.Outcome == "Repaired");
        var after = await world.PassAsync("verify");
        report.Tell(
            $"run {run}: {expected.Count} differences planted meanwhile: {found.Length - others.Count} found as what they are, {others.Count} others; {repaired - late.Count} repaired, and {late.Count} writes that new terms cut short; {after.Divergences.Divergences} left"
        );
        report.Demand(
            found.Order().SequenceEqual(expected.Order()),
            $"run {run}: of {expected.Count} planted differences were found: {string.Join("; ", found)}"
        );
        report.Demand(
            repaired == expected.Count + late.Count && after.Divergences.Divergences == 0,
            $"run {run}: what was planted is not repaired: {string.Join("; ", healing.Documents.Select(d => $"{d.Key} {d.Outcome}"))}"
        );
        report.Blame(
            late.Where(document => WrittenAtUnixMs(document) < seen.FinishedAtUnixMs)
                .Select(document => $"run {run}: {document.Key} {document.Kind} differed before, and was not found")
        );
        return $"planted-{run}-0-Stale";
    }
}
