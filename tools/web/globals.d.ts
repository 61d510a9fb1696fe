// What vendor/uplot.js defines.
declare const uPlot: typeof import("uplot").default;
