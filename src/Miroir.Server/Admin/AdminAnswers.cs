using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Admin;

/// <summary>How the admin API's routes answer: JSON, or an error in the documented shape.</summary>
internal static class AdminAnswers
{
    public delegate Task<IResult> Handler(HttpContext http, CancellationToken cancel);

    public static void Get(RouteGroupBuilder group, string pattern, Handler handler) =>
        group.MapGet(pattern, (RequestDelegate)(http => Answer(http, handler)));

    public static void Post(RouteGroupBuilder group, string pattern, Handler handler) =>
        group.MapPost(pattern, (RequestDelegate)(http => Answer(http, handler)));

    public static Task Answer(HttpContext http, Handler handler) =>
        ErrorAnswers.Guard(http, async cancel => await (await handler(http, cancel)).ExecuteAsync(http));

    public static IResult Json<T>(T value, JsonTypeInfo<T> type, int status = 200) =>
        Results.Json(value, type, statusCode: status);

    public static IResult Json<T>(AdminReply<T> reply, JsonTypeInfo<T> type, int status = 200) =>
        reply.IsOk ? Results.Json(reply.Value, type, statusCode: status) : Refused(reply.Message, reply.Code);

    /// <summary>Lists are wrapped, so that a page's bounds can be added beside them.</summary>
    public static IResult List<T>(AdminReply<T[]> reply, JsonTypeInfo<T[]> type)
    {
        if (!reply.IsOk)
            return Refused(reply.Message, reply.Code);
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WritePropertyName("results");
            JsonSerializer.Serialize(json, reply.Value, type);
            json.WriteEndObject();
        }
        return Results.Bytes(buffer.ToArray(), "application/json");
    }

    public static IResult Refused(string message, string code)
    {
        var error = new ApiError(message, code);
        return Results.Text(error.ToJson(), "application/json", error.Status);
    }
}
