using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Miroir.Chaos.Demo;

/// <summary>The documents that the demo loads.</summary>
internal sealed record Dataset(
    string Source,
    string PrimaryKey,
    IReadOnlyList<(string Id, JsonObject Document)> Documents
)
{
    private const int FewestReal = 20_000;
    private const int Made = 50_000;

    public static async Task<Dataset> LoadAsync(DemoOptions options)
    {
        if (options.Input != "")
        {
            var field = options.PrimaryKey == "" ? "id" : options.PrimaryKey;
            return new($"file {options.Input}", field, FromFile(options.Input, field, options.MaxDocuments));
        }

        var packages = options.IsControl ? [] : await PackagesAsync(options.MaxDocuments);
        return packages.Count >= Math.Min(FewestReal, options.MaxDocuments)
            ? new("this machine's Debian package index", "package", packages)
            : new(
                options.IsControl
                    ? "made documents"
                    : $"made documents (the package index of this machine gave {packages.Count})",
                "package",
                MadeUp(Math.Min(options.IsControl ? 4_000 : Made, options.MaxDocuments), 40, 160)
            );
    }

    private static List<(string, JsonObject)> FromFile(string file, string field, int most)
    {
        List<(string, JsonObject)> documents = [];
        var line = 0;
        foreach (var text in File.ReadLines(file))
        {
            line++;
            if (string.IsNullOrWhiteSpace(text))
                continue;
            try
            {
                if (
                    JsonNode.Parse(text) is not JsonObject document
                    || document[field] is not JsonValue id
                    || id.GetValueKind() is not (JsonValueKind.String or JsonValueKind.Number)
                )
                    throw new ArgumentException(
                        $"--input: line {line} of {file} is no JSON object with the field '{field}' (--primary-key names another)"
                    );
                documents.Add((id.ToString(), document));
            }
            catch (JsonException e)
            {
                throw new ArgumentException($"--input: line {line} of {file} is not JSON: {e.Message}");
            }

            if (documents.Count == most)
                break;
        }

        return [.. documents.DistinctBy(d => d.Item1)];
    }

    /// <summary>`apt-cache dumpavail`, a paragraph a package; the first of each name counts.</summary>
    private static async Task<List<(string, JsonObject)>> PackagesAsync(int most)
    {
        List<(string, JsonObject)> documents = [];
        HashSet<string> seen = new(StringComparer.Ordinal);
        using var process = new Process();
        process.StartInfo = new ProcessStartInfo("apt-cache", "dumpavail")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            process.Start();
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return documents;
        }

        var document = new JsonObject();
        var field = "";
        void End()
        {
            if (document["package"]?.GetValue<string>() is { Length: > 0 } id && documents.Count < most && seen.Add(id))
                documents.Add((id, document));
            document = [];
            field = "";
        }

        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line.Length == 0)
                End();
            else if (line[0] is ' ' or '\t')
            {
                if (field != "")
                    document[field] = document[field]!.GetValue<string>() + "\n" + line.Trim();
            }
            else if (line.IndexOf(':', StringComparison.Ordinal) is var colon and > 0)
            {
                field = line[..colon].ToLowerInvariant();
                document[field] = line[(colon + 1)..].Trim();
            }
        }

        End();
        await process.WaitForExitAsync();
        return documents;
    }

    /// <summary>Made documents of some words each, the same ones every time.</summary>
    public static Dataset MadeOf(int count, int words) => new("made documents", "package", MadeUp(count, words, words));

    private static List<(string, JsonObject)> MadeUp(int count, int fewestWords, int mostWords)
    {
        List<(string, JsonObject)> documents = [];
        var random = new Random(20260101);
        var text = new StringBuilder();
        for (var i = 0; i < count; i++)
        {
            text.Clear();
            var words = fewestWords + random.Next(mostWords - fewestWords + 1);
            for (var w = 0; w < words; w++)
                text.Append("word").Append(random.Next(2000).ToString(CultureInfo.InvariantCulture)).Append(' ');
            var id = "made-" + i.ToString("D6", CultureInfo.InvariantCulture);
            documents.Add(
                (
                    id,
                    new JsonObject
                    {
                        ["package"] = id,
                        ["version"] = $"{random.Next(20)}.{random.Next(100)}",
                        ["section"] = "misc",
                        ["description"] = text.ToString(),
                    }
                )
            );
        }

        return documents;
    }
}
