using System.Runtime.InteropServices;
using Miroir.Chaos.Demo;
using Miroir.Chaos.Entropy;
using Miroir.Chaos.Processes;
using Miroir.Chaos.Scenarios;

namespace Miroir.Chaos;

internal static class Program
{
    private const string Usage = "usage: Miroir.Chaos demo|chaos|entropy [options]";

    private static async Task<int> Main(string[] arguments)
    {
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        switch (arguments)
        {
            case ["demo", .. var rest]:
                return await DemoCommand.RunAsync(rest, stop.Token);
            case ["chaos", .. var rest]:
                return await ChaosCommand.RunAsync(rest, stop.Token);
            case ["entropy", .. var rest]:
                return await EntropyCommand.RunAsync(rest, stop.Token);
            case ["node" or "router" or "coordinator", .. var rest]:
                return await HostCommands.RunAsync(arguments[0], rest, stop.Token);
            default:
                Console.Error.WriteLine(Usage);
                return 2;
        }
    }
}
