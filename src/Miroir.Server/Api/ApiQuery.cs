using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>The query string, read strictly: a parameter that is not known, is given twice or does not parse is an error.</summary>
internal sealed class ApiQuery
{
    private readonly IQueryCollection query;

    private ApiQuery(IQueryCollection query) => this.query = query;

    public static ApiQuery Of(HttpRequest request, params ReadOnlySpan<string> known) => Of(request.Query, known);

    /// <summary>The same parameters as the fields of a JSON object, where a URL is too short for them.</summary>
    public static ApiQuery OfBody(ReadOnlyMemory<byte> body, params ReadOnlySpan<string> known)
    {
        var fields = new Dictionary<string, StringValues>(StringComparer.Ordinal);
        try
        {
            using var document = JsonDocument.Parse(body);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new RefusedException("malformed_payload", "the body must be a JSON object");
            foreach (var field in document.RootElement.EnumerateObject())
                if (field.Value.ValueKind != JsonValueKind.Null)
                    fields[field.Name] = StringValues.Concat(
                        fields.GetValueOrDefault(field.Name),
                        TextOf(field.Name, field.Value)
                    );
        }
        catch (JsonException e)
        {
            throw new RefusedException("malformed_payload", $"the body is not JSON: {e.Message}");
        }
        return Of(new QueryCollection(fields), known);
    }

    private static string TextOf(string name, JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => throw new RefusedException(
                "bad_request",
                $"`{JsonText.Shown(name, 60)}` must be text, a number, true or false"
            ),
        };

    private static ApiQuery Of(IQueryCollection query, ReadOnlySpan<string> known)
    {
        foreach (var (name, values) in query)
        {
            if (!known.Contains(name))
                throw new RefusedException(
                    "bad_request",
                    known.Length == 0
                        ? $"unknown parameter `{name}`: this route takes none"
                        : $"unknown parameter `{name}`: expected one of `{string.Join("`, `", known)}`"
                );
            if (values.Count > 1)
                throw new RefusedException("bad_request", $"parameter `{name}` is given {values.Count} times");
        }
        return new ApiQuery(query);
    }

    /// <summary>The value; null where it is absent or empty.</summary>
    public string? Text(string name) => query[name].ToString() is { Length: > 0 } text ? text : null;

    public long Number(string name, string code, long otherwise, long most, long least = 0)
    {
        if (Text(name) is not { } text)
            return otherwise;
        return
            long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number >= least
            && number <= most
            ? number
            : throw new RefusedException(
                code,
                $"`{name}` must be a whole number from {least} to {most}, not `{JsonText.Shown(text, 100)}`"
            );
    }

    /// <summary>A duration with its unit, in milliseconds.</summary>
    public int DurationMs(string name, string code, int otherwise, int least, int most)
    {
        if (Text(name) is not { } text)
            return otherwise;
        var duration = Units.parseDuration(text);
        return duration.IsOk && duration.ResultValue.TotalMilliseconds is var ms && ms >= least && ms <= most
            ? (int)ms
            : throw new RefusedException(
                code,
                $"`{name}` must be a duration with its unit from {Shown(least)} to {Shown(most)}, such as 10s, not `{JsonText.Shown(text, 100)}`"
            );

        static string Shown(int ms) => Units.durationText(TimeSpan.FromMilliseconds(ms));
    }

    /// <summary>Values between commas; empty where absent, or where it is a star.</summary>
    public string[] List(string name) =>
        Text(name) is { } text && text != "*"
            ? text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            : [];

    public bool Flag(string name) =>
        Text(name) switch
        {
            null or "false" => false,
            "true" => true,
            var other => throw new RefusedException("bad_request", $"`{name}` must be true or false, not `{other}`"),
        };

    /// <summary>A date (2026-01-31) or a time (RFC 3339) in Unix milliseconds; 0 where absent.</summary>
    public long UnixMs(string name)
    {
        if (Text(name) is not { } text || text == "*")
            return 0;
        return DateTimeOffset.TryParse(
            text,
            CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
            out var time
        )
            ? time.ToUnixTimeMilliseconds()
            : throw new RefusedException(
                "invalid_task_date",
                $"`{name}` must be a date or an RFC 3339 time, not `{text}`"
            );
    }

    /// <summary>Of the query (<c>consistency</c>) or the header <c>x-miroir-consistency</c>; the query goes first.</summary>
    public static Consistency Consistency(HttpRequest request)
    {
        var text = request.Query["consistency"].ToString();
        if (text == "")
            text = request.Headers["x-miroir-consistency"].ToString();
        return text switch
        {
            "" or "confirmed" => Ports.Consistency.Confirmed,
            "eventual" => Ports.Consistency.Eventual,
            _ => throw new RefusedException(
                "invalid_consistency",
                $"the consistency of a read is `confirmed` or `eventual`, not `{text}`"
            ),
        };
    }
}
