using Miroir.Chaos.Scenarios;

namespace Miroir.Chaos.Entropy;

/// <summary>`entropy`: anti-entropy with real processes. 0: all right; 1: something was not; 2: not understood.</summary>
internal static class EntropyCommand
{
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancel)
    {
        EntropyDrillOptions options;
        try
        {
            options = EntropyDrillOptions.Parse(arguments);
        }
        catch (ArgumentException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
        await using var folder = new ScenarioFolder("entropy", options.IsKept);
        IReadOnlyList<string> wrong;
        await using (var world = new EntropyWorld(folder.Path, options))
        {
            try
            {
                wrong = await new EntropyDrill(world, options, Console.WriteLine).RunAsync().WaitAsync(cancel);
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                Console.WriteLine("stopped");
                return 130;
            }
            catch (Exception e)
            {
                wrong = [$"{e}"];
            }
        }
        folder.IsFine = wrong.Count == 0;
        foreach (var each in wrong)
            Console.WriteLine($"WRONG: {each}");
        Console.WriteLine(folder.IsFine ? "all right" : $"not all right; logs and files are in {folder.Path}");
        return folder.IsFine ? 0 : 1;
    }
}
