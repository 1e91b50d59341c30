using System.Text;
using Miroir.Ports;
using Miroir.Stores.Sqlite;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Tests.Crash;

internal static class MetadataCheck
{
    public const string File = "metadata.db";

    /// <summary>What is wrong with the file in the folder, or null: it has to be what its commits, in order, have made.</summary>
    public static async Task<string?> WrongIn(string folder, DiskEvent[] events, int steps)
    {
        var notes = events.Take(steps).OfType<DiskEvent.Note>().Select(note => note.What).ToArray();
        var begun = notes.OfType<MetadataNote.Begun>().ToDictionary(note => note.Commit.Mark, note => note.Commit);
        MetadataEntry[] found;
        await using (var store = SqliteMetadataStore.Open(Path.Combine(folder, File)))
            found = await store.Read("", CancellationToken.None);

        var marks = found.Where(entry => entry.Key.StartsWith("mark/", StringComparison.Ordinal)).ToArray();
        var revisions = marks.ToDictionary(entry => entry.Key, entry => entry.ModRevision);
        if (revisions.Values.Distinct().Count() != revisions.Count)
            return "two commits have the same revision";
        foreach (var done in notes.OfType<MetadataNote.Done>())
        {
            if (!revisions.TryGetValue(done.Commit.Mark, out var revision))
                return $"commit {done.Commit.Number} was acknowledged at revision {done.Revision}, and is lost";
            if (revision != done.Revision)
                return $"commit {done.Commit.Number} was acknowledged at revision {done.Revision}, and has {revision}";
        }

        var expected = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var mark in marks.OrderBy(entry => entry.ModRevision))
        {
            if (!begun.TryGetValue(mark.Key, out var commit))
                return $"{mark.Key} is there, and nobody has asked for it";
            foreach (var (key, value) in commit.Writes)
            {
                if (value is null)
                    expected.Remove(key);
                else
                    expected[key] = $"{value} at {mark.ModRevision}";
            }
        }

        var others = found
            .Where(entry => !entry.Key.StartsWith("mark/", StringComparison.Ordinal))
            .Select(entry =>
                KeyValuePair.Create(entry.Key, $"{Encoding.UTF8.GetString(entry.Value)} at {entry.ModRevision}")
            );
        if (!others.SequenceEqual(expected))
            return $"the keys are not what the {marks.Length} commits that are there have made of them";

        using var database = Database.Open(Path.Combine(folder, File), new() { Access = DatabaseAccess.ReadOnly });
        var integrity = database.QueryText("PRAGMA integrity_check");
        return integrity == "ok" ? null : $"integrity_check says {integrity}";
    }
}
