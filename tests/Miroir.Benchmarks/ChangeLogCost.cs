using Miroir.Stores;

namespace Miroir.Benchmarks;

/// <summary>What the change log costs a put: while it grows, and once it is as long as it may be, where as much goes as comes.</summary>
internal static class ChangeLogCost
{
    public static async Task RunAsync(BenchOptions options, TextWriter output, CancellationToken cancel)
    {
        var rows =
            options.Documents > 0 ? options.Documents
            : options.IsQuick ? 4_000
            : 200_000;
        var folder = options.Place("change-log");
        foreach (
            var (what, max) in new[]
            {
                ("A change log that grows", long.MaxValue),
                ("A change log at its bound", rows / 20),
            }
        )
        {
            var cost = new PutCost(
                folder,
                rows,
                what,
                keeps => new() { KeepsChangeLog = keeps, Changes = ChangeRetention.Unlimited with { MaxChanges = max } }
            );
            await cost.RunAsync(options.IsQuick ? 1 : 5, output, cancel);
        }

        Directory.Delete(folder, recursive: true);
    }
}
