using System.Globalization;

namespace Miroir.Benchmarks;

/// <summary>Where is measured, and how much.</summary>
/// <param name="Folder">On the disk to measure; what is made in it is removed.</param>
/// <param name="IsQuick">Sizes that say whether it works, not how fast it is.</param>
internal sealed record BenchOptions(string Folder, bool IsQuick)
{
    /// <summary>How many documents are copied, or compared; 0: the sizes that this is measured at.</summary>
    public int Documents { get; init; }

    public const string Usage = """
        usage: bench [NAME...] [--quick] [--data DIR]
          --quick         small sizes of all in under a minute: says whether it works, not how fast
          --documents N   what `copy` copies (three times) and `anti-entropy` compares, instead of their sizes
          --data DIR      where files are made, and removed again (default: the current directory): the disk to measure
        """;

    /// <exception cref="ArgumentException">Which argument is wrong, and what was expected.</exception>
    public static (BenchOptions Options, List<string> Names) Parse(
        IReadOnlyList<string> arguments,
        IReadOnlyCollection<string> known
    )
    {
        var options = new BenchOptions(Environment.CurrentDirectory, false);
        List<string> names = [];
        for (var i = 0; i < arguments.Count; i++)
        {
            switch (arguments[i])
            {
                case "--quick":
                    options = options with { IsQuick = true };
                    break;
                case "--documents"
                    when i + 1 < arguments.Count
                        && int.TryParse(arguments[i + 1], NumberStyles.None, null, out var documents)
                        && documents > 0:
                    options = options with { Documents = documents };
                    i++;
                    break;
                case "--data" when i + 1 < arguments.Count:
                    options = options with { Folder = Path.GetFullPath(arguments[++i]) };
                    break;
                case var name when known.Contains(name):
                    names.Add(name);
                    break;
                case var other:
                    throw new ArgumentException(
                        $"`{other}` is neither an option nor one of {string.Join(", ", known)}\n{Usage}"
                    );
            }
        }

        return (
            options with
            {
                Folder = Path.Combine(options.Folder, $"bench-data-{Environment.ProcessId}"),
            },
            names.Count > 0 ? names : [.. known]
        );
    }

    /// <summary>A folder of its own for one measurement.</summary>
    public string Place(string name) => Directory.CreateDirectory(Path.Combine(Folder, name)).FullName;
}
