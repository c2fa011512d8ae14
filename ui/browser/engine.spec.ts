import { accessible } from './accessible'
import { expect, labelIssue, openIssue, signIn, state, test } from './platform'

test.describe.configure({ timeout: 150_000 })

test('the owner opens the engine’s own page of a run, may end it only with the grant, and the run says who did', async ({ page }) => {
  await signIn(page, 'maintainer', '/runs')
  const number = await openIssue('Ended in the engine', 'endless-loop')
  await labelIssue(number, 'run:dev')
  await page.getByRole('link', { name: /Ended in the engine/ }).first().click()
  await expect(page).toHaveURL(/\/runs\/[0-9a-f-]{36}/)
  const run = page.url()
  await page.getByRole('navigation', { name: 'Parts of the run' }).getByRole('link', { name: 'Workflow history' }).click()
  const there = page.getByRole('region', { name: 'Workflow history' }).getByRole('link', { name: 'Open in Temporal' })
  const id = /:agent-run:[0-9a-f-]{36}:1/.exec(decodeURIComponent((await there.getAttribute('href')) ?? ''))?.[0] ?? 'none'
  await there.click()
  // The engine's own page, with what it knows of this workflow.
  await expect(page).toHaveURL(/\/ops\/temporal\/namespaces\/default\/workflows\//)
  await expect(page.getByText(new RegExp(id)).first()).toBeVisible({ timeout: 30_000 })
  await expect(page.getByText('Running').first()).toBeVisible()
  const workflow = page.url()
  // Nothing is offered that would be refused.
  await expect(page.getByRole('button', { name: 'Request Cancellation' })).toBeDisabled()
  await expect(page.getByRole('button', { name: 'More Actions' })).toBeDisabled()

  await page.goto('/people')
  const row = page.getByRole('row', { name: /maintainer@people\.example/ })
  await row.getByRole('button', { name: 'Give the operator grant' }).click()
  const giving = page.getByRole('dialog')
  await expect(giving.getByRole('button', { name: /Give the operator grant/ })).toHaveAttribute('aria-disabled', 'true')
  await giving.getByLabel('Reason').fill('a run turns in circles')
  await accessible(page)
  await giving.getByRole('button', { name: 'Give the operator grant' }).click()
  await expect(row.getByText('May change things')).toBeVisible()
  await expect(row.getByText('maintainer: a run turns in circles')).toBeVisible()
  await accessible(page)

  await page.goto(workflow)
  await page.getByRole('button', { name: 'More Actions' }).click()
  await page.getByRole('menuitem', { name: 'Terminate' }).click()
  const ending = page.getByRole('dialog', { name: 'Terminate Workflow' })
  await ending.getByRole('textbox').fill('it turns in circles')
  await ending.getByRole('button', { name: 'Terminate' }).click()
  await expect(page.getByText('Terminated').first()).toBeVisible({ timeout: 30_000 })

  await page.goto(run)
  await expect(page.getByText('Its workflow was terminated by maintainer in the engine: it turns in circles.').first()).toBeVisible({ timeout: 60_000 })
  await page.goto('/people')
  await row.getByRole('button', { name: 'Withdraw the grant' }).click()
  const taking = page.getByRole('alertdialog')
  await taking.getByLabel('Reason').fill('done')
  await accessible(page)
  await taking.getByRole('button', { name: /Withdraw the grant/ }).click()
  await expect(row.getByText('May look')).toBeVisible()
})

test('there is a way to the engine for those who may go there, and for nobody else', async ({ page, browser, baseURL }) => {
  await signIn(page, 'maintainer')
  await page.keyboard.press('g')
  await page.keyboard.press('t')
  await expect(page).toHaveURL(/\/ops\/temporal\//)
  await expect(page.getByRole('link', { name: /Workflows/ }).first()).toBeVisible({ timeout: 30_000 })
  const other = await (await browser.newContext({ baseURL: baseURL ?? '' })).newPage()
  await signIn(other, 'writer', '/runs')
  await expect(other.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Engine' })).toHaveCount(0)
  expect((await other.goto('/ops/temporal/'))?.status()).toBe(404)
  await other.context().close()
})

test('who is signed out comes to the engine over the sign-in', async ({ page }) => {
  await page.goto('/ops/temporal/namespaces/default/workflows')
  await expect(page).toHaveURL(/\/sign-in\?to=/)
  await page.getByRole('link', { name: 'Sign in with GitHub' }).click()
  await page.getByRole('button', { name: 'Sign in as maintainer', exact: true }).click()
  await expect(page).toHaveURL(/\/ops\/temporal\/namespaces\/default\/workflows/)
  await expect(page.getByRole('link', { name: /Workflows/ }).first()).toBeVisible({ timeout: 30_000 })
})

test('a page of the engine goes on when the access token has ended', async ({ page, context }) => {
  await signIn(page, 'maintainer')
  await page.goto('/ops/temporal/namespaces/default/workflows')
  await expect(page.getByRole('link', { name: /Schedules/ }).first()).toBeVisible({ timeout: 30_000 })
  await context.clearCookies({ name: /-access$/ })
  // Its program fetches the parts of the next page, and is led over the renewal without noticing.
  const renewed = page.waitForResponse(/\/auth\/renew\?/)
  await page.getByRole('link', { name: /Schedules/ }).first().click()
  expect((await renewed).status()).toBe(303)
  await expect(page).toHaveURL(/\/ops\/temporal\/namespaces\/default\/schedules/)
  await expect(page.getByRole('table', { name: 'Schedules' })).toBeVisible({ timeout: 30_000 })
})

test('a link on another site leads to the engine, though the cookie is strict', async ({ page }) => {
  await signIn(page, 'maintainer')
  // Another name of the same machine is another site.
  await page.goto(state.forge_url.replace('127.0.0.1', 'localhost'))
  await page.evaluate((there) => {
    const link = document.createElement('a')
    link.href = there
    link.textContent = 'to the engine'
    document.body.replaceChildren(link)
  }, `${state.gateway_url}/ops/temporal/namespaces/default/workflows?a=b&c=d`)
  const first = page.waitForResponse((response) => response.url().includes('/ops/temporal/namespaces/default/workflows'))
  await page.getByRole('link', { name: 'to the engine' }).click()
  expect((await (await first).request().allHeaders())['sec-fetch-site']).toBe('cross-site')
  await expect(page.getByRole('link', { name: /Workflows/ }).first()).toBeVisible({ timeout: 30_000 })
})
