import AxeBuilder from '@axe-core/playwright'
import { expect, type Page } from '@playwright/test'

/** Demands that axe finds nothing on the page, in both themes. */
export async function accessible(page: Page): Promise<void> {
  const before = await page.evaluate(() => document.documentElement.dataset.theme)
  for (const theme of ['light', 'dark']) {
    await page.evaluate((wish) => {
      document.documentElement.dataset.theme = wish
    }, theme)
    const { violations } = await new AxeBuilder({ page }).analyze()
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary ?? ''}`).join('\n  ')}`)
    expect(found, `axe in the ${theme} theme at ${page.url()}`).toEqual([])
  }
  await page.evaluate((wish) => {
    document.documentElement.dataset.theme = wish
  }, before)
}
