using System.Diagnostics;

namespace Miroir.Chaos.Entropy;

/// <summary>What goes wrong with one replica's disk: each is told apart and healed.</summary>
internal sealed class FailingDisks(EntropyWorld world, DrillReport report)
{
    private const int Documents = 400;
    private const int Reads = 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static string IdOf(string key) => $"(SELECT body FROM entries WHERE key = '{key}')";

    private static string BodyOf(string key) => $"SELECT body FROM bodies WHERE id = {IdOf(key)}";

    public async Task FlippedBodyAsync(string key)
    {
        await world.Feed.BeginAsync();
        var file = await world.FileAsync("n2", key);
        await world.StopNodeAsync("n2");
        var whole = EntropyWorld.Query(file, BodyOf(key))!;
        // The first `p` of it; `q` is the next code.
        var at = whole.IndexOf('p', StringComparison.Ordinal);
        var flipped = $"{whole[..at]}q{whole[(at + 1)..]}";
        EntropyWorld.Edit(file, $"UPDATE bodies SET body = '{flipped}' WHERE id = {IdOf(key)}");
        await world.StartNodeAsync("n2");
        var right = await world.ReadAsync(key, Reads);
        var verify = await world.PassAsync("verify");
        var scrub = await world.PassAsync("scrub");
        var again = await world.PassAsync("scrub");
        await world.StopNodeAsync("n2");
        var healed = EntropyWorld.Query(file, BodyOf(key)) == whole;
        await world.StartNodeAsync("n2");
        report.Tell(
            $"a bit flipped in a body: {right} of {Reads} eventual reads answered with another copy's or a sound one; verify {verify.Divergences.Divergences} divergences, scrub {scrub.Divergences.Corrupt} corrupt and {scrub.Shards.Sum(s => s.DriftedLeaves)} drifted leaves, {scrub.Repaired} repaired, a second scrub {again.Divergences.Corrupt}; the body is {(healed ? "as it was" : "not as it was")}"
        );
        report.Demand(right == Reads, "a body with a flipped bit was given to a client, or kept one from an answer");
        report.Demand(
            scrub is { Divergences: { Corrupt: 1, Divergences: 1 }, Repaired: 1 }
                && scrub.Shards.All(s => s.DriftedLeaves == 0)
                && again.Divergences.Corrupt == 0
                && healed,
            $"a flipped bit in a body was not healed: {string.Join("; ", scrub.Documents.Select(d => $"{d.Key} {d.Outcome}"))}"
        );
        await SilentAsync("a flipped bit in a body", 0);
    }

    public async Task FlippedDigestAsync(string key)
    {
        var file = await world.FileAsync("n3", key);
        await world.StopNodeAsync("n3");
        // The lowest bit: SQLite has no XOR.
        EntropyWorld.Edit(
            file,
            "UPDATE leaf_digests SET sum_a = sum_a + 1 - 2 * (sum_a & 1) WHERE leaf = (SELECT max(leaf) FROM leaf_digests)"
        );
        await world.StartNodeAsync("n3");
        var verify = await world.PassAsync("verify");
        var scrub = await world.PassAsync("scrub");
        var again = await world.PassAsync("verify");
        var drifted = scrub.Shards.Sum(shard => shard.DriftedLeaves);
        report.Tell(
            $"a bit flipped in a digest row: verify {verify.Divergences.Divergences} divergences in the {verify.Shards.Sum(s => s.Compared)} entries that it had to merge, scrub {drifted} drifted leaves and {scrub.Divergences.Corrupt} corrupt; then {again.Shards.Sum(s => s.Compared)} entries to merge"
        );
        report.Demand(
            drifted == 1
                && scrub.Divergences.Divergences == 0
                && verify.Divergences.Divergences == 0
                && verify.Shards.Sum(s => s.Compared) > 0
                && again.Shards.Sum(s => s.Compared) == 0,
            "a flipped bit in a digest row was not told apart from a difference, or not put right"
        );
        await SilentAsync("a flipped bit in a digest row", 0);
    }

    /// <summary>
    /// One replica's file is replaced by an older copy of itself, from before documents were deleted and their tombstones
    /// purged everywhere: taken for the newest, it would bring them back.
    /// </summary>
    public async Task OldCopyAsync(string key)
    {
        await world.WriteAsync("old", Documents);
        var file = await world.FileAsync("n1", key);
        var older = $"{file}.older";
        await world.StopNodeAsync("n1");
        File.Copy(file, older);
        await world.StartNodeAsync("n1");
        await world.DeleteAsync("old", Documents);
        await world.Workload.BurstAsync(2_000);
        var purge = await world.PassAsync("run");
        var left = await world.TombstonesAsync();
        await world.Feed.TakeAsync();
        var (before, unknownBefore) = (world.Workload.AcknowledgedWrites, world.Client.Unknown);
        await world.StopNodeAsync("n1");
        var dead = EntropyWorld.Query(
            older,
            "SELECT '' || count(*) FROM entries WHERE key LIKE 'old-%' AND deleted = 0"
        )!;
        File.Delete(file + "-wal");
        File.Delete(file + "-shm");
        File.Move(older, file, overwrite: true);
        await world.StartNodeAsync("n1");
        var serving = await world.ServingAsync("n1");
        var clock = Stopwatch.StartNew();
        await world.Workload.BurstAsync(2_000);
        var filled = await FilledAsync(clock, "n1");
        // What was written after the delta pass had been there, it lacks, as any replica that missed a put.
        var run = await world.PassAsync("run");
        var verify = await world.PassAsync("verify");
        var alive = await world.AliveAsync("old", Documents);
        var isNamed = await world.HasLoggedAsync("n1", "it is an older copy");
        var isKept = Directory.GetFiles(Path.GetDirectoryName(file)!, Path.GetFileName(file) + ".quarantined-*").Length;
        report.Tell(
            $"a file replaced by an older copy, with {dead} documents deleted and purged since: {EntropyWorld.Shards - serving} of {EntropyWorld.Shards} stores quarantined, {(isNamed ? "as an older copy" : "not as an older copy")}; all serve again after {clock.ElapsedMilliseconds:N0} ms under writes, {run.Repaired} of them repaired, then verify {verify.Divergences.Divergences} divergences, {alive} documents came back, {isKept} file set aside"
        );
        report.Demand(
            left == 0 && purge.Shards.Sum(shard => shard.Purged) >= Documents,
            $"the tombstones were not purged: {left} are left"
        );
        report.Demand(
            dead != "0" && serving == EntropyWorld.Shards - 1 && isNamed && isKept == 1,
            "an older copy of a file was not told from the newest"
        );
        report.Demand(alive == 0, "deleted documents came back with an older copy of a file");
        report.Demand(filled && IsInSync(verify), "an older copy of a file was not replaced");
        await SilentAsync(
            "an older copy of a file",
            world.Workload.AcknowledgedWrites - before,
            world.Client.Unknown - unknownBefore
        );
    }

    /// <summary>A node comes back with nothing at all.</summary>
    public async Task LostAsync()
    {
        await world.StopNodeAsync("n2");
        Directory.Delete(world.Cluster.NodeFolder("n2"), recursive: true);
        await world.StartNodeAsync("n2");
        var clock = Stopwatch.StartNew();
        var filled = await FilledAsync(clock, "n2");
        var verify = await world.PassAsync("verify");
        report.Tell(
            $"a node's directory deleted: its {EntropyWorld.Shards} stores serve again after {clock.ElapsedMilliseconds:N0} ms, with {verify.Shards.Sum(shard => shard.Entries):N0} entries; verify {verify.Divergences.Divergences} divergences"
        );
        report.Demand(filled && IsInSync(verify), "a node that had lost its disk was not filled from the others");
        await SilentAsync("a node's directory deleted", 0);
    }

    /// <summary>The change feed told each write of a client since once, and nothing of what was healed.</summary>
    /// <param name="writes">Acknowledged.</param>
    /// <param name="unknown">Those that may be there or not.</param>
    private async Task SilentAsync(string what, long writes, long unknown = 0)
    {
        var events = await world.Feed.TakeAsync();
        var distinct = events.Select(change => change.Id).Distinct().Count();
        report.Tell($"{what}: {events.Count:N0} events in the change feed, of {writes:N0} writes of clients");
        report.Demand(
            events.Count == distinct && distinct >= writes && distinct <= writes + unknown,
            $"{what}: the change feed gave {events.Count} events, {distinct} of them different, of {writes} writes"
        );
    }

    private static bool IsInSync(Ports.PassView verify) =>
        verify.Divergences.Divergences == 0
        && verify.Shards.All(shard => shard is { State: "InSync", Copies: EntropyWorld.Copies });

    private async Task<bool> FilledAsync(Stopwatch clock, string node)
    {
        while (await world.ServingAsync(node) < EntropyWorld.Shards)
        {
            if (clock.Elapsed > Patience)
                return false;
            await Task.Delay(50);
        }

        clock.Stop();
        return true;
    }
}
