using Microsoft.FSharp.Core;
using Miroir.Scripting;

namespace Miroir.Chaos.Processes;

internal static class Results
{
    /// <exception cref="InvalidOperationException">It was refused, or nobody answered.</exception>
    public static T Demand<T>(this FSharpResult<T, ClientError> result, string what) =>
        result.IsOk ? result.ResultValue : throw new InvalidOperationException($"{what}: {result.ErrorValue.Message}");
}
