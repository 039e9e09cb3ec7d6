// What pages owe to eyes and hands, measured on the page as it is drawn.
(() => {
  const parts = (color) => { const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, under) => [0, 1, 2].map((at) => top[at] * top[3] + under[at] * (1 - top[3]));
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parts(getComputedStyle(at).backgroundColor));
    return layers.reduceRight((under, top) => over(top, under), [255, 255, 255]);
  };
  // https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
  const light = (color) => {
    const [r, g, b] = color.map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (color, under) => {
    const [one, other] = [light(over(parts(color), under)), light(under)];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
  const name = (element) => element.id ? `#${element.id}` : `${element.tagName.toLowerCase()} ${element.textContent.slice(0, 30)}`;
  return {
    // Texts that are too pale: 4.5 to 1, and 3 to 1 where they are large.
    pale: () => {
      const found = new Set();
      let seen = 0;
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const element = walk.currentNode.parentElement;
        if (!walk.currentNode.data.trim() || /^(SCRIPT|STYLE)$/.test(element.tagName) || !element.checkVisibility()) continue;
        const style = getComputedStyle(element), size = parseFloat(style.fontSize);
        const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
        const got = ratio(element instanceof SVGElement ? style.fill : style.color, ground(element));
        seen += 1;
        if (!(got >= (large ? 3 : 4.5))) found.add(`${name(element)}: ${got.toFixed(2)}`);
      }
      return { seen, found: [...found] };
    },
    // How much of the page lies beside the screen, and whether any text is cut off.
    sideways: () => document.documentElement.scrollWidth - innerWidth,
    // Everything that is to be reached, in the order of the page.
    controls: () => [...document.querySelectorAll("a[href], button, input, summary, [tabindex='0']")]
      .filter((element) => element.checkVisibility()).map(name),
    // Where the hands are, and how that is seen.
    focus: () => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const style = getComputedStyle(element), box = element.getBoundingClientRect();
      return {
        name: name(element),
        ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
        contrast: ratio(style.outlineColor, ground(element.parentElement)),
        seen: box.width > 0 && box.left >= 0 && box.right <= innerWidth + 1 && box.top < innerHeight && box.bottom > 0,
      };
    },
  };
})()
