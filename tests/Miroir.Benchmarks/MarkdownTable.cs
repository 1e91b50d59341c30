using System.Globalization;

namespace Miroir.Benchmarks;

/// <summary>A table that can be read in a terminal and pasted into a document. Its first column is words, the others numbers.</summary>
internal sealed class MarkdownTable(params string[] headers)
{
    private readonly List<string[]> _rows = [];

    public void Add(params string[] cells) => _rows.Add(cells);

    public void Print(TextWriter output)
    {
        var widths = headers.Select((header, i) => _rows.Select(row => row[i].Length).Append(header.Length).Max());
        int[] width = [.. widths];
        output.WriteLine();
        Line(headers);
        output.WriteLine("| " + string.Join(" | ", width.Select(Rule)) + " |");
        _rows.ForEach(Line);
        output.WriteLine();

        void Line(string[] cells) => output.WriteLine("| " + string.Join(" | ", cells.Select(Pad)) + " |");
        string Pad(string cell, int i) => i == 0 ? cell.PadRight(width[i]) : cell.PadLeft(width[i]);
        static string Rule(int dashes, int i) => i == 0 ? new string('-', dashes) : new string('-', dashes - 1) + ":";
    }

    public static string Count(double value) => value.ToString("N0", CultureInfo.InvariantCulture);

    public static string Ratio(double value) => value.ToString("F2", CultureInfo.InvariantCulture);

    public static string Ms(double value) => value.ToString("F2", CultureInfo.InvariantCulture);
}
