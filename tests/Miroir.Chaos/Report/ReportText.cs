using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Miroir.Chaos.Scenarios;

namespace Miroir.Chaos.Report;

/// <summary>Markdown being written, and JSON turned into words for it.</summary>
internal sealed class ReportText
{
    private readonly StringBuilder _text = new();

    public override string ToString() => _text.ToString();

    private void Line(string line) => _text.Append(line).Append('\n');

    /// <summary>A paragraph, or a heading.</summary>
    public void Say(string line)
    {
        Line(line);
        Line("");
    }

    /// <param name="numbersFrom">The first column of numbers; 0: none.</param>
    public void Table(string[] headers, int numbersFrom, IReadOnlyList<string[]> rows)
    {
        Line($"| {string.Join(" | ", headers)} |");
        Line(
            $"| {string.Join(" | ", headers.Select((_, i) => numbersFrom > 0 && i >= numbersFrom ? "--:" : "---"))} |"
        );
        foreach (var row in rows)
            Line($"| {string.Join(" | ", row.Select(Cell))} |");
        Line("");
    }

    private static string Cell(string text) =>
        text.Replace("|", "\\|", StringComparison.Ordinal).ReplaceLineEndings(" ");

    public static string Number(long value) => ScenarioResult.Number(value);

    public static string Number(JsonNode? node) => Number(Count(node));

    public static long Count(JsonNode? node) => node is null ? 0 : (long)node.GetValue<double>();

    public static bool Flag(JsonNode? node) => node?.GetValue<bool>() ?? false;

    public static string Seconds(JsonNode? node) =>
        node is null ? "" : node.GetValue<double>().ToString("F1", CultureInfo.InvariantCulture);

    public static string Text(JsonNode? node, string otherwise) => node?.ToString() ?? otherwise;

    public static string List(JsonNode? node) =>
        node is JsonArray { Count: > 0 } items ? string.Join(", ", items.Select(i => i!.ToString())) : "nothing";

    /// <summary>"3 this, 4 that", of an object whose fields are counts.</summary>
    public static string Counts(JsonNode? node) =>
        node is JsonObject { Count: > 0 } counts
            ? string.Join(", ", counts.Select(c => $"{Number(c.Value)} {c.Key}"))
            : "nothing";
}
