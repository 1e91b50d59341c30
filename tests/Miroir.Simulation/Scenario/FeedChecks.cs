using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Simulation.Scenario;

/// <summary>
/// What a consumer of an index's change feed was given, held against what clients were told: each acknowledged write, in
/// order for each document, and nothing that nobody wrote.
/// </summary>
public sealed class FeedChecks
{
    private readonly record struct Write(Guid Operation, DocumentVersion Version);

    private readonly Dictionary<Guid, string> _asked = [];
    private readonly Dictionary<string, List<Write>> _acknowledged = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<Write>> _given = new(StringComparer.Ordinal);
    private readonly HashSet<Write> _seen = [];
    private readonly HashSet<Write> _awaited = [];

    /// <summary>Whether somebody deleted all documents: the router made the ids of these operations.</summary>
    public bool HasSweeps { get; set; }

    public long Events { get; private set; }

    /// <summary>Of these, those given before.</summary>
    public long Duplicates { get; private set; }

    /// <summary>Acknowledged writes that were not given yet.</summary>
    public int Awaited => _awaited.Count;

    public void Ask(WriteCommand command) => _asked[command.OperationId] = command.Key.Text;

    public void Acknowledge(WriteCommand command, DocumentVersion version)
    {
        var write = new Write(command.OperationId, version);
        Of(_acknowledged, command.Key.Text).Add(write);
        if (!_seen.Contains(write))
        {
            _awaited.Add(write);
        }
    }

    public void Take(FeedEvent given, Findings findings)
    {
        var change = given.Change;
        var key = change.Key.Text;
        var isAsked = _asked.TryGetValue(change.OperationId, out var asked) && asked == key;
        if (!isAsked && !(HasSweeps && change.IsDelete && asked is null))
        {
            findings.Add("misfed", $"the feed has {change}, of operation {change.OperationId}, which nobody asked for");
        }
        var write = new Write(change.OperationId, change.Version);
        Events++;
        Duplicates += _seen.Add(write) ? 0 : 1;
        _awaited.Remove(write);
        Of(_given, key).Add(write);
    }

    /// <summary>Once nothing is awaited, or nothing comes any more.</summary>
    public void Judge(Findings findings)
    {
        foreach (var (key, acknowledged) in _acknowledged.OrderBy(static k => k.Key, StringComparer.Ordinal))
        {
            var given = Of(_given, key);
            var missing = acknowledged.Where(_awaited.Contains).ToArray();
            if (missing.Length > 0)
            {
                findings.Count("unfed", missing.Length);
                findings.Tell($"unfed: \"{key}\" {string.Join(", ", missing)} is not in the feed");
            }
            else if (Disorder(acknowledged, given) is { } disorder)
            {
                findings.Add(
                    "misfed",
                    $"\"{key}\" {disorder}: {string.Join(", ", given.Select(static w => w.Version))}"
                );
            }
        }
    }

    /// <summary>
    /// A repeated event may stand behind later ones; what was acknowledged last is never followed by anything older.
    /// </summary>
    private static string? Disorder(List<Write> acknowledged, List<Write> given)
    {
        var inOrder = acknowledged.OrderBy(static write => write.Version).ToArray();
        var firsts = Array.ConvertAll(inOrder, given.IndexOf);
        for (var i = 1; i < firsts.Length; i++)
        {
            if (firsts[i] < firsts[i - 1])
            {
                return $"is given {inOrder[i].Version} before {inOrder[i - 1].Version}";
            }
        }
        return given[^1].Version.CompareTo(inOrder[^1].Version) < 0
            ? $"ends with {given[^1].Version}, older than {inOrder[^1].Version}"
            : null;
    }

    private static List<Write> Of(Dictionary<string, List<Write>> writes, string key)
    {
        if (!writes.TryGetValue(key, out var known))
        {
            writes.Add(key, known = []);
        }
        return known;
    }
}
