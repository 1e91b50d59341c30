using System.Globalization;
using System.Text.Json;
using Miroir.Core;
using Miroir.Stores.Memory;

namespace Miroir.Chaos.Processes;

/// <summary>What a node's store did as it was told to.</summary>
/// <param name="Refused">Puts refused, by store ("INDEX/GENERATION-SHARD").</param>
/// <param name="Held">Puts held back.</param>
/// <param name="RefusedLate">Of those, refused when they got to the store: their route had ended.</param>
internal sealed record NodeFaults(IReadOnlyDictionary<string, long> Refused, long Held, long RefusedLate);

/// <summary>
/// What a harness tells a node of this program, a line each on its standard input: `refuse R,R,...` (the share of puts that
/// fail on stores made for a migration, by shard, over and over), `hold KEY`, `release`, `report`. Each is answered by a
/// line that begins with <see cref="Mark"/>.
/// </summary>
internal sealed class NodeControl(FaultyNodeStore store)
{
    public const string Mark = "control ";

    private TaskCompletionSource? _release;

    /// <summary>Ends with the standard input: nobody is left to tell it anything.</summary>
    public async Task RunAsync(TextReader input, TextWriter output)
    {
        while (await input.ReadLineAsync() is { } line)
            await output.WriteLineAsync(Mark + Obey(line.Split(' ', 2)));
    }

    private string Obey(string[] words)
    {
        switch (words)
        {
            case ["refuse", var rates]:
                store.Plan = Refusing(Rates(rates)) with { Held = store.Plan.Held };
                return "ok";
            case ["hold", var key]:
                _release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                store.Plan = store.Plan with { Held = new HeldPut(Key.Of(key), _release.Task) };
                return "ok";
            case ["release"]:
                _release?.TrySetResult();
                return "ok";
            case ["report"]:
                var refused = store.RefusedByStore.ToDictionary(
                    r => $"{r.Key.Index}/{r.Key.Generation}-{r.Key.Shard}",
                    r => r.Value
                );
                return JsonSerializer.Serialize(new NodeFaults(refused, store.Held, store.RefusedLate));
            default:
                return $"not understood: {string.Join(' ', words)}";
        }
    }

    public static double[] Rates(string text) =>
        [.. text.Split(',').Select(rate => double.Parse(rate, CultureInfo.InvariantCulture))];

    public static string Text(IEnumerable<double> rates) =>
        string.Join(',', rates.Select(rate => rate.ToString(CultureInfo.InvariantCulture)));

    public static FaultPlan Refusing(double[] rates) =>
        new() { RefusePutInto = store => rates[store.Shard % rates.Length], OnlyMigrationStores = true };
}
