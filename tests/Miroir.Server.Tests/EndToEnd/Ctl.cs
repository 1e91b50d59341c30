using System.Text;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;
using Miroir.Ctl;

namespace Miroir.Server.Tests.EndToEnd;

/// <summary>How one run of miroir-ctl ended.</summary>
internal sealed record CtlRun(int Exit, string Output, string Errors);

/// <summary>miroir-ctl in this process, with its output piped and nothing of this process's surroundings.</summary>
internal static class Ctl
{
    public static async Task<CtlRun> RunAsync(string server, string input, params string[] arguments)
    {
        var (output, errors) = (new StringWriter(), new StringWriter());
        var world = new Surroundings(
            output,
            errors,
            FuncConvert.FromFunc<Stream>(() => new MemoryStream(Encoding.UTF8.GetBytes(input))),
            isTerminal: false,
            FuncConvert.FromFunc<string, FSharpOption<string>?>(_ => null),
            FuncConvert.FromFunc<string, FSharpOption<string>?>(file =>
                File.Exists(file) ? FSharpOption<string>.Some(File.ReadAllText(file)) : null
            ),
            FuncConvert.FromFunc<string, Stream>(File.OpenRead),
            FuncConvert.FromAction<string, string>(File.WriteAllText),
            FuncConvert.FromFunc<string, TimeZoneInfo?>(_ => null),
            FuncConvert.FromFunc(() => DateTimeOffset.UtcNow),
            TimeSpan.FromMilliseconds(50)
        );
        string[] all = [.. arguments, "--server", server];
        var exit = await App.run(world, ListModule.OfSeq(all), CancellationToken.None);
        return new CtlRun(exit, output.ToString(), errors.ToString());
    }
}
