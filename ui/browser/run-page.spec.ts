import { accessible } from './accessible'
import { expect, labelIssue, openIssue, signIn, test } from './platform'

test.describe.configure({ timeout: 150_000 })

test('a run that ended tells what the agent saw and changed, and how the engine went through it', async ({ page }) => {
  await signIn(page, 'maintainer', '/runs')
  const number = await openIssue('Looked back at in the browser', 'good-fix')
  await labelIssue(number, 'run:dev')
  await page.getByRole('link', { name: /Looked back at in the browser/ }).first().click()
  await expect(page.getByRole('region', { name: 'Result' })).toContainText('Pull request open', { timeout: 60_000 })
  const parts = page.getByRole('navigation', { name: 'Parts of the run' })
  await page.getByRole('group').filter({ hasText: 'The Job' }).locator('summary').click()
  await expect(page.getByText('a local Job has none')).toBeVisible()

  await parts.getByRole('link', { name: 'Changes' }).click()
  await expect(page.getByRole('region', { name: 'Changes' })).toContainText(/1 file/)
  await accessible(page)

  await parts.getByRole('link', { name: 'What the agent saw' }).click()
  const seen = page.getByRole('region', { name: 'What the agent saw' })
  await expect(seen).toContainText('The platform')
  await expect(seen.getByRole('article').filter({ hasText: 'description of the issue' })).toContainText(/Anybody: data only[^]*See the failing test\./)
  await accessible(page)

  await parts.getByRole('link', { name: 'Workflow history' }).click()
  const history = page.getByRole('region', { name: 'Workflow history' })
  await expect(history.getByRole('row', { name: /Cloning the repository.*done/ })).toBeVisible()
  await expect(history.getByRole('link', { name: 'Open in Temporal' })).toHaveAttribute('href', /\/ops\/temporal\/namespaces\/default\/workflows\//)
  await accessible(page)
  await history.getByRole('button', { name: 'Compact' }).click()
  await expect(history.getByRole('row', { name: /Activity prepare_workspace/ })).toBeVisible()
  await history.getByRole('link', { name: 'Event 1', exact: true }).click()
  await expect(page).toHaveURL(/level=events.*event=1|event=1.*level=events/)
  await page.reload()
  await expect(page.getByRole('region', { name: 'Event 1', exact: true })).toContainText('WorkflowExecutionStarted')
  await accessible(page)
})

test('the whole log is searched where it is kept, and saved from there', async ({ page }) => {
  await signIn(page, 'reader', '/runs')
  await page.getByRole('link', { name: /Looked back at in the browser/ }).first().click()
  const answered = page.waitForResponse(/\/log\/search\?q=the/)
  await page.getByRole('searchbox', { name: 'Search the whole log' }).fill('the')
  const { count } = (await (await answered).json()) as { count: number }
  expect(count).toBeGreaterThan(0)
  await expect(page.getByRole('search').getByRole('status')).toContainText(`of ${String(count)}`)
  const saving = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Download' }).click()
  expect((await saving).suggestedFilename()).toMatch(/-1\.log$/)
})

test('a retry says what is done again and what it costs', async ({ page }) => {
  await signIn(page, 'writer', '/runs')
  await page.getByRole('link', { name: /Looked back at in the browser/ }).first().click()
  await page.getByRole('button', { name: 'Retry' }).first().click()
  const dialog = page.getByRole('dialog', { name: 'Retry this run' })
  await dialog.getByText('Again from the start').click()
  await expect(dialog.getByRole('definition').first()).toContainText('The agent works')
  await dialog.getByText('From a step').click()
  await dialog.getByRole('combobox', { name: 'Step' }).selectOption('publish')
  await expect(dialog).toContainText('the agent is not asked again')
  await expect(dialog.getByRole('definition').nth(1)).toContainText('Cloning the repository')
  await accessible(page)
})
