using Microsoft.FSharp.Core;
using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.AntiEntropy;

/// <summary>One shard in a pass: compare its replicas, settle, repair, look again, and say what is proven by it.</summary>
internal sealed class ShardPass(
    EntropyWorld world,
    ShardMending mending,
    ShardCertification certification,
    string kind,
    IReadOnlyList<DivergenceView> plan,
    ShardReport report,
    PassMeter meter,
    CancellationToken cancel
)
{
    private readonly bool _repairs = PassKind.Repairs(kind, world.Options);

    public async Task RunAsync()
    {
        var started = world.Time.GetTimestamp();
        try
        {
            var route = Route();
            if (_repairs && kind != PassKind.Scrub)
                await mending.RebuildAsync(route, report, cancel);
            var floor = await FloorToBeAsync(route);
            if (floor is not null)
                route = Route();
            report.IsCertified = await IsProvenAsync(route);
            if ((report.IsCertified || Mutants.purgedWithoutProof()) && floor is { } proven)
            {
                report.Purged = await mending.PurgeAsync(route, proven, _incarnations, cancel);
                // Another term has begun: a write that it cut short may lack on one replica.
                report.IsCertified = await IsProvenAsync(Route());
            }
        }
        catch (PassEndedException e)
        {
            report.Blame(e.Message);
        }
        catch (UnreachableException e)
        {
            report.Blame(e.Message);
        }

        report.ElapsedMs = (long)world.Time.GetElapsedTime(started).TotalMilliseconds;
    }

    private readonly Dictionary<Replica, Guid> _incarnations = [];

    private Route Route() =>
        world.RouteOf(report.Shard) is { Stage.IsRetired: false } route
            ? route
            : throw new PassEndedException(
                "the shard has no route in force any more: its successors are to be compared"
            );

    /// <summary>Compares, and repairs; true: every owner holds all that any held when it began.</summary>
    private async Task<bool> IsProvenAsync(Route route)
    {
        report.Entries = -1;
        var isWhole = true;
        foreach (var part in PartsOf(route))
            isWhole &= await PartAsync(route, part);
        // A scrub holds no replica to another, and a plan names documents: neither proves anything of the whole shard.
        var isScrub = kind == PassKind.Scrub && !Mutants.scrubCertifies();
        var isCompared = isWhole && !isScrub && plan.Count == 0 && report.Problem == "";
        var isWell = isCompared || Mutants.certifiedWithoutAReplica();
        return isWell && report.Unrepaired == 0 && report.Copies > 1;
    }

    /// <summary>
    /// What tombstones may go below, once this pass has proven that every replica has them: the beginning of a new term,
    /// so that nothing of an earlier one can be put any more. Null: none go.
    /// </summary>
    private async Task<DocumentVersion?> FloorToBeAsync(Route route)
    {
        if (!_repairs || kind is not (PassKind.Run or PassKind.Scheduled))
            return null;
        return await mending.MayPurgeAsync(route, cancel) ? await mending.NewTermAsync(route, cancel) : null;
    }

    private static IEnumerable<(HashRange Range, Replica[] Owners, TargetShard? Target)> PartsOf(Route route)
    {
        if (!route.Stage.IsJoint && !route.Stage.IsSwitched)
            return [(route.Range, route.OwnerReplicas, null)];
        return route.Targets.Select(target =>
            (route.Range.Intersect(target.Range).Value, route.OwnerReplicas, (TargetShard?)target)
        );
    }

    /// <summary>False: a replica was left out.</summary>
    private async Task<bool> PartAsync(Route route, (HashRange Range, Replica[] Owners, TargetShard? Target) part)
    {
        var targets = part.Target is { } target ? Core.Route.TargetReplicas(target) : [];
        Replica[] replicas = [.. part.Owners.Concat(targets).Distinct()];
        var asked = world.Group(route, replicas, meter, cancel);
        var (group, digests, problems) = await asked.AnswerAsync([part.Range]);
        foreach (var problem in problems)
            report.Blame(problem);
        Replica[] present = [.. group.Members.Select(member => member.Replica)];
        report.Copies = Math.Max(report.Copies, present.Length);
        if (present.Length == 0)
            throw new PassEndedException("no replica answers");
        if (kind == PassKind.Scrub || present.Length == 1)
        {
            await new ShardScrub(world, report, meter, _repairs, cancel).RunAsync(route, present);
            return present.Length == replicas.Length;
        }

        var comparison = new Comparison(group, part.Range, digests, world.Options, world.Time, cancel);
        if (plan.Count > 0)
            await RoundAsync(group, await PlannedAsync(group));
        else
            await foreach (var round in comparison.RoundsAsync())
                await RoundAsync(group, round);
        report.Compared += comparison.Compared;
        report.InFlight += comparison.InFlight;
        report.Hot += comparison.Hot;
        report.Entries = Math.Max(report.Entries, 0) + comparison.Equal.Entries + comparison.Compared;
        report.Digest = comparison.Compared == 0 && plan.Count == 0 ? $"{comparison.Equal.Sum}" : "";
        for (var i = 0; i < present.Length; i++)
            _incarnations[present[i]] = group.Incarnations[i];
        if (part.Target is { } certified && report.Unrepaired == 0 && plan.Count == 0)
            await certification.CertifyAsync(route, certified, group, comparison, report, cancel);
        return present.Length == replicas.Length;
    }

    private async Task RoundAsync(ReplicaGroup group, IReadOnlyList<Difference> round)
    {
        var outcomes = Enumerable.Repeat(kind == PassKind.DryRun ? "Planned" : "Reported", round.Count).ToArray();
        if (_repairs && round.Count > 0)
            outcomes = await RepairAsync(group, round);
        for (var i = 0; i < round.Count; i++)
        {
            report.Count(round[i].Kind);
            if (outcomes[i] == "Repaired")
                report.Repaired++;
            else
                report.Unrepaired++;
            report.Name(ShardReport.View(report.Shard, group.Members, round[i], group.Floor, outcomes[i]));
        }
    }

    private async Task<string[]> RepairAsync(ReplicaGroup group, IReadOnlyList<Difference> round)
    {
        var keys = round.Select(difference => new RepairKey(difference.Seen.Key, KeepOf(difference))).ToArray();
        var outcomes = await new Repairer(world, report.Shard.Index, cancel).RepairAsync(keys);
        // What the writers say is not taken for granted.
        var seen = await group.LookAsync(keys.Select(key => key.Key));
        for (var i = 0; i < outcomes.Length; i++)
        {
            var isEqual =
                !seen.TryGetValue(keys[i].Key, out var now)
                || Settle.judge(group.Floor, round[i].Seen, now) is { IsWasInFlight: true };
            outcomes[i] =
                isEqual ? "Repaired"
                : outcomes[i] == "" ? "a replica still differs"
                : outcomes[i];
        }

        return outcomes;
    }

    private FSharpValueOption<Digest> KeepOf(Difference difference)
    {
        var named = plan.FirstOrDefault(document => document.Key == $"{difference.Seen.Key}");
        return named is { Keep.Length: > 0 } ? PlannedContent(named.Keep) : difference.Seen.Keep;
    }

    private static FSharpValueOption<Digest> PlannedContent(string hex) =>
        UInt128.TryParse(hex, System.Globalization.NumberStyles.AllowHexSpecifier, null, out var digest)
            ? FSharpValueOption<Digest>.NewValueSome(new Digest((ulong)(digest >> 64), (ulong)digest))
            : FSharpValueOption<Digest>.ValueNone;

    /// <summary>What of the plan still differs.</summary>
    private async Task<IReadOnlyList<Difference>> PlannedAsync(ReplicaGroup group)
    {
        Key[] keys =
        [
            .. plan.Select(document => Key.Parse(document.Key))
                .Where(key => key.IsOk)
                .Select(key => key.ResultValue)
                .Where(key =>
                    world.Table.Resolve(report.Shard.Index, key.Hash) is { IsValueSome: true, Value: var at }
                    && at.Shard.Equals(report.Shard)
                ),
        ];
        var seen = await group.LookAsync(keys);
        return
        [
            .. seen
                .Values.OrderBy(sighting => sighting.Key)
                .Select(sighting => (Sighting: sighting, Kind: sighting.Kind(group.Floor)))
                .Where(found => found.Kind.IsSome)
                .Select(found => new Difference(found.Kind.Value, found.Sighting)),
        ];
    }
}
