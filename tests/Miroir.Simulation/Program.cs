using Microsoft.Testing.Platform.Builder;
using Miroir.Simulation.Scenario;

namespace Miroir.Simulation;

/// <summary>The tests, and the simulator: `simulate --seeds N [--from S] [--seconds T]`, `simulate --seed N`.</summary>
internal static class Program
{
    public static async Task<int> Main(string[] args)
    {
        if (args is ["simulate", .. var rest])
        {
            return SimulateCommand.Run(rest);
        }
        var builder = await TestApplication.CreateBuilderAsync(args);
        builder.AddSelfRegisteredExtensions(args);
        using var application = await builder.BuildAsync();
        return await application.RunAsync();
    }
}
