// Plays conversations through the official SDKs for Node: a job a line in, what the SDK made of it
// a line out, as the Python driver does. The packages are found from the working directory.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(process.cwd() + '/');
const Anthropic = require('@anthropic-ai/sdk');
const { betaTool } = require('@anthropic-ai/sdk/helpers/beta/json-schema');
const OpenAI = require('openai');

const anthropic = (job) =>
  new Anthropic({ apiKey: 'test', baseURL: job.base, maxRetries: job.retries });
const openai = (job) =>
  new OpenAI({ apiKey: 'test', baseURL: job.base + '/v1', maxRetries: job.retries });

/** Drains a stream, keeping every event as text and what `text` finds in it. */
async function hear(turn, stream, text) {
  for await (const event of stream) {
    turn.events.push(JSON.stringify(event));
    turn.heard += text(event) ?? '';
  }
}

const anthropicText = (event) => event.delta?.text;
const responsesText = (event) => (event.type === 'response.output_text.delta' ? event.delta : '');

function messages(api) {
  return async (job, turn) => {
    const { request } = job;
    if (job.stream) {
      const stream = api.stream(request);
      await hear(turn, stream, anthropicText);
      turn.message = await stream.finalMessage();
    } else {
      turn.message = await api.create(request);
    }
    request.messages.push({ role: 'assistant', content: turn.message.content });
  };
}

/** The SDK's own loop: it calls the tool and goes on until nothing is called. */
function runner(api) {
  return async (job, turn) => {
    const outputs = [...job.outputs];
    const tool = betaTool({
      name: 'run_command',
      description: 'Runs a command in the shell.',
      inputSchema: { type: 'object', properties: { command: { type: 'string' } } },
      run: () => outputs.shift(),
    });
    const thread = job.chained ? {} : { thread: false };
    const loop = api.toolRunner({ ...job.request, ...thread, tools: [tool], stream: job.stream });
    for await (const step of loop) {
      if (job.stream) await hear(turn, step, anthropicText);
      else turn.events.push(JSON.stringify(step));
    }
    turn.message = await loop.done();
  };
}

function chat(api) {
  return async (job, turn) => {
    const { request } = job;
    if (job.stream) {
      const stream = api.stream(request);
      await hear(turn, stream, (chunk) => chunk.choices[0]?.delta.content);
      turn.message = await stream.finalChatCompletion();
    } else {
      turn.message = await api.create(request);
    }
    request.messages.push(turn.message.choices[0].message);
  };
}

/** The same loop of the other SDK. */
function chatRunner(api) {
  return async (job, turn) => {
    const outputs = [...job.outputs];
    const tool = {
      type: 'function',
      function: {
        name: 'run_command',
        description: 'Runs a command in the shell.',
        parameters: { type: 'object', properties: { command: { type: 'string' } } },
        function: () => outputs.shift(),
      },
    };
    const loop = api.runTools({ ...job.request, tools: [tool], stream: job.stream });
    turn.message = await loop.finalChatCompletion();
    turn.events.push(JSON.stringify(loop.messages));
  };
}

function responses(api) {
  return async (job, turn) => {
    const { request } = job;
    if (job.stream) {
      const stream = api.stream(request);
      await hear(turn, stream, responsesText);
      turn.message = await stream.finalResponse();
    } else {
      turn.message = await api.create(request);
    }
    if (job.retrieves) {
      turn.retrieved = await api.retrieve(turn.message.id);
      for await (const item of api.inputItems.list(turn.message.id)) {
        turn.events.push(JSON.stringify(item));
      }
    }
    if (job.chained) {
      request.previous_response_id = turn.message.id;
      request.input = [];
    } else {
      request.input.push(...turn.message.output);
    }
  };
}

const counting = (count) => async (job, turn) => {
  turn.message = { tokens: (await count(job.request)).input_tokens };
};

const APIS = {
  messages: (job) => messages(anthropic(job).messages),
  'beta-messages': (job) => messages(anthropic(job).beta.messages),
  runner: (job) => runner(anthropic(job).beta.messages),
  chat: (job) => chat(openai(job).chat.completions),
  'chat-runner': (job) => chatRunner(openai(job).chat.completions),
  responses: (job) => responses(openai(job).responses),
  count: (job) => counting((request) => anthropic(job).messages.countTokens(request)),
  'count-responses': (job) => counting((request) => openai(job).responses.inputTokens.count(request)),
};

/** What a user's `catch` sees. */
function failure(error) {
  return {
    class: error.constructor.name,
    status: error.status ?? null,
    body: error.error ?? null,
    retry_after: error.headers?.get?.('retry-after') ?? null,
  };
}

async function play(job) {
  const turns = [];
  let error = null;
  const ask = APIS[job.api](job);
  try {
    for (const said of [[], ...job.then]) {
      job.request[job.list].push(...said);
      const turn = { message: null, heard: '', events: [] };
      turns.push(turn);
      await ask(job, turn);
    }
  } catch (raised) {
    error = failure(raised);
  }
  const shown = ({ retrieved, message, ...turn }) => ({
    ...turn,
    message: retrieved ? { told: message, retrieved } : message,
  });
  return { turns: turns.map(shown), error };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await play(JSON.parse(line))) + '\n');
}
