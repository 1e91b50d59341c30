using System.Diagnostics;
using Miroir.Chaos.Demo;
using Miroir.Oracle;
using Miroir.Ports;

namespace Miroir.Chaos.Entropy;

/// <summary>What anti-entropy is held to with real processes, one step after the other; each says what it saw.</summary>
internal sealed class EntropyDrill(EntropyWorld world, EntropyDrillOptions options, Action<string> tell)
{
    private const int Planted = 5;
    private const int PassesUnderWrites = 10;
    private const int Deleted = 200;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly List<string> _wrong = [];

    /// <summary>What was not as it has to be.</summary>
    public async Task<IReadOnlyList<string>> RunAsync()
    {
        await world.StartAsync();
        tell($"{options.Documents} documents loaded, 3 copies, {EntropyWorld.Shards} shards");
        world.Workload.Start();
        await UnderWritesAsync();
        await PlantedAsync();
        await world.Workload.StopAsync();
        await FlippedBodyAsync();
        await FlippedDigestAsync();
        await OldCopyAsync();
        await AwayAsync();
        await JudgeAsync();
        return _wrong;
    }

    private void Demand(bool isSo, string what)
    {
        if (!isSo)
            _wrong.Add(what);
    }

    /// <summary>Nothing that is only on its way is called different.</summary>
    private async Task UnderWritesAsync()
    {
        var clock = Stopwatch.StartNew();
        var writesBefore = world.Workload.AcknowledgedWrites;
        var (divergences, inFlight, ms) = (0L, 0L, new List<long>());
        for (var i = 1; i <= PassesUnderWrites; i++)
        {
            var due = TimeSpan.FromSeconds((double)options.Seconds * i / PassesUnderWrites);
            var pass = await world.PassAsync("verify");
            divergences += pass.Divergences.Divergences;
            inFlight += pass.Divergences.InFlight;
            ms.Add(pass.FinishedAtUnixMs - pass.StartedAtUnixMs);
            foreach (var shard in pass.Shards.Where(shard => shard.Problem != ""))
                _wrong.Add($"under writes, shard {shard.Shard} was not compared: {shard.Problem}");
            foreach (var document in pass.Documents)
                _wrong.Add($"under writes: {document.Key} {document.Kind}: {string.Join(", ", document.Lacking)}");
            if (clock.Elapsed < due)
                await Task.Delay(due - clock.Elapsed);
        }
        var rate = (world.Workload.AcknowledgedWrites - writesBefore) / clock.Elapsed.TotalSeconds;
        tell(
            $"under {rate:N0} acknowledged writes/s for {clock.Elapsed.TotalSeconds:F0} s: {PassesUnderWrites} verifies, {divergences} divergences, {inFlight} seen in flight, {ms.Min()}-{ms.Max()} ms a pass"
        );
        Demand(divergences == 0, "a verify called a write on its way a divergence");
    }

    /// <summary>What really differs is found, exactly, while the writes go on.</summary>
    private async Task PlantedAsync()
    {
        List<string> expected = [];
        for (var i = 0; i < Planted; i++)
        {
            await world.PlantAsync($"planted-missing-{i}", 5, false, "n1", "n3");
            expected.Add($"planted-missing-{i} Missing");
            await world.PlantAsync($"planted-stale-{i}", 5, false, "n1", "n2", "n3");
            await world.PlantAsync($"planted-stale-{i}", 9, false, "n2");
            expected.Add($"planted-stale-{i} Stale");
            await world.PlantAsync($"planted-undeleted-{i}", 5, false, "n1", "n2", "n3");
            await world.PlantAsync($"planted-undeleted-{i}", 9, true, "n1", "n2");
            expected.Add($"planted-undeleted-{i} LacksTombstone");
        }
        var seen = await world.PassAsync("verify");
        string[] found = [.. seen.Documents.Select(document => $"{document.Key} {document.Kind}").Order()];
        Demand(
            found.SequenceEqual(expected.Order()),
            $"of {expected.Count} planted differences were found: {string.Join("; ", found)}"
        );
        var run = await world.PassAsync("run");
        var after = await world.PassAsync("verify");
        tell(
            $"{expected.Count} differences planted under writes: {found.Length} found, {run.Repaired} repaired, {after.Divergences.Divergences} left"
        );
        Demand(run.Repaired == expected.Count && after.Divergences.Divergences == 0, "what was planted is not repaired");
    }

    private static string BodyOf(string key) =>
        $"SELECT body FROM bodies WHERE id = (SELECT body FROM entries WHERE key = '{key}')";

    private async Task FlippedBodyAsync()
    {
        var key = "planted-stale-0";
        var file = await world.FileAsync("n2", key);
        await world.StopNodeAsync("n2");
        var whole = EntropyWorld.Query(file, BodyOf(key))!;
        var flipped = whole.Replace("planted", "qlanted", StringComparison.Ordinal);
        EntropyWorld.Edit(
            file,
            $"UPDATE bodies SET body = '{flipped}' WHERE id = (SELECT body FROM entries WHERE key = '{key}')"
        );
        await world.StartNodeAsync("n2");
        var verify = await world.PassAsync("verify");
        var scrub = await world.PassAsync("scrub");
        var again = await world.PassAsync("scrub");
        await world.StopNodeAsync("n2");
        var healed = EntropyWorld.Query(file, BodyOf(key)) == whole;
        await world.StartNodeAsync("n2");
        tell(
            $"a bit flipped in a body: verify {verify.Divergences.Divergences}, scrub {scrub.Divergences.Corrupt} corrupt, {scrub.Repaired} repaired, then {again.Divergences.Corrupt}; the body is {(healed ? "as it was" : "not as it was")}"
        );
        Demand(
            scrub is { Divergences.Corrupt: 1, Repaired: 1 } && again.Divergences.Corrupt == 0 && healed,
            $"a flipped bit in a body was not healed: {string.Join("; ", scrub.Documents.Select(d => d.Outcome))}"
        );
    }

    private async Task FlippedDigestAsync()
    {
        var file = await world.FileAsync("n3", "planted-stale-0");
        await world.StopNodeAsync("n3");
        EntropyWorld.Edit(
            file,
            "UPDATE leaf_digests SET sum_a = sum_a + 1 WHERE leaf = (SELECT max(leaf) FROM leaf_digests)"
        );
        await world.StartNodeAsync("n3");
        var verify = await world.PassAsync("verify");
        var scrub = await world.PassAsync("scrub");
        var again = await world.PassAsync("verify");
        var drifted = scrub.Shards.Sum(shard => shard.DriftedLeaves);
        tell(
            $"a bit flipped in a digest row: verify {verify.Divergences.Divergences} divergences over {verify.Shards.Sum(s => s.Compared)} entries merged, scrub {drifted} drifted leaves and {scrub.Divergences.Corrupt} corrupt, then {again.Shards.Sum(s => s.Compared)} entries to merge"
        );
        Demand(
            drifted == 1
                && scrub.Divergences.Divergences == 0
                && verify.Divergences.Divergences == 0
                && again.Shards.Sum(s => s.Compared) == 0,
            "a flipped bit in a digest row was not told apart from a difference, or not put right"
        );
    }

    /// <summary>One replica's file is replaced by an older copy of itself.</summary>
    private async Task OldCopyAsync()
    {
        var key = "planted-missing-0";
        var file = await world.FileAsync("n1", key);
        await world.StopNodeAsync("n1");
        File.Copy(file, file + ".older");
        await world.StartNodeAsync("n1");
        await world.Workload.BurstAsync(2_000);
        await world.StopNodeAsync("n1");
        File.Delete(file + "-wal");
        File.Delete(file + "-shm");
        File.Move(file + ".older", file, overwrite: true);
        await world.StartNodeAsync("n1");
        var clock = Stopwatch.StartNew();
        var serving = await world.ServingAsync("n1");
        while (await world.ServingAsync("n1") < EntropyWorld.Shards && clock.Elapsed < Patience)
            await Task.Delay(50);
        var filledMs = clock.ElapsedMilliseconds;
        var verify = await world.PassAsync("verify");
        tell(
            $"a file replaced by an older copy: {EntropyWorld.Shards - serving} of {EntropyWorld.Shards} stores quarantined at the start, all serve again after {filledMs} ms, verify {verify.Divergences.Divergences}"
        );
        Demand(
            serving == EntropyWorld.Shards - 1
                && await world.ServingAsync("n1") == EntropyWorld.Shards
                && verify.Divergences.Divergences == 0
                && verify.Shards.All(shard => shard.State == "InSync"),
            "an older copy of a file was taken for the newest, or was not replaced"
        );
    }

    /// <summary>Deletions while a replica is away: nothing is purged before it has heard of them.</summary>
    private async Task AwayAsync()
    {
        await world.PassAsync("run");
        await world.StopNodeAsync("n3");
        for (var i = 0; i < Deleted; i++)
        {
            var key = $"away-{i}";
            var entry = world.History.Invoke(5_000 + i, Operation.Delete(key));
            world.History.Complete(entry, await world.Client.DeleteAsync(() => world.Router, key));
        }
        var away = await world.PassAsync("run");
        var kept = away.Shards.Sum(shard => shard.Purged);
        await world.StartNodeAsync("n3");
        var back = await world.PassAsync("run");
        var purged = back.Shards.Sum(shard => shard.Purged);
        var left = await world.TombstonesAsync();
        tell(
            $"{Deleted} deletions with a replica away: {kept} tombstones purged meanwhile, {back.Repaired} repaired once it was back, {purged} purged then, {left} left"
        );
        Demand(kept == 0 && back.Repaired > 0 && purged >= Deleted && left == 0, "tombstones went early, or did not go");
    }

    private async Task JudgeAsync()
    {
        var judged = await FinalCheck.JudgeAsync(world.Cluster, world.Client, EntropyWorld.Index, world.History);
        var wrong = Enum.GetValues<DocumentClass>()
            .Where(each => each != DocumentClass.Fine && judged.Verdict.Count(each) > 0)
            .Select(each => $"{judged.Verdict.Count(each)} {each}".ToLowerInvariant())
            .ToList();
        tell(
            $"{judged.Operations} operations on {judged.Keys} documents checked: {(wrong.Count == 0 ? "0 lost, 0 stale, 0 resurrected" : string.Join(", ", wrong))}"
        );
        _wrong.AddRange(judged.Verdict.Examples);
        Demand(wrong.Count == 0, string.Join(", ", wrong));
    }
}
