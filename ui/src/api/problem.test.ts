import { describe, expect, it } from 'vitest'
import { Problem } from './problem'

const answer = (status: number, headers = {}) => new Response(null, { status, headers })

describe('Problem', () => {
  it('keeps what the gateway says', () => {
    const body = { code: 'not_found', detail: 'there is nothing at this address', request_id: 'r-1' }
    const problem = Problem.from(answer(404), body)
    expect([problem.status, problem.code, problem.detail, problem.requestId]).toEqual([
      404,
      'not_found',
      'there is nothing at this address',
      'r-1',
    ])
    expect(problem.passing).toBe(false)
  })

  it('makes do with what a proxy on the way says', () => {
    const problem = Problem.from(answer(502, { 'x-request-id': 'r-2' }), '<html>Bad gateway</html>')
    expect([problem.code, problem.detail, problem.requestId]).toEqual(['http_502', '', 'r-2'])
    expect(problem.passing).toBe(true)
  })
})
